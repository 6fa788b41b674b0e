/** PIXEL_FORMAT of RFC 6143 section 7.4, as far as the sizes of rectangles depend on it. */

export const PIXEL_FORMAT_BYTES = 16
const MAX_OF_A_BYTE = 255

export interface PixelFormat {
  readonly bytesPerPixel: number
  /** The size of a pixel in Tight. `undefined` if servers disagree about it. */
  readonly tightBytes: number | undefined
}

/** Reads the PIXEL_FORMAT that begins at `at`. */
export function pixelFormatAt(bytes: Buffer, at: number): PixelFormat {
  const bytesPerPixel = bytes[at]! >> 3
  return { bytesPerPixel, tightBytes: tightBytesOf(bytes, at, bytesPerPixel) }
}

export const isSameFormat = (a: PixelFormat, b: PixelFormat): boolean =>
  a.bytesPerPixel === b.bytesPerPixel && a.tightBytes === b.tightBytes

/**
 * Tight sends 3 bytes for pixels of 32 bits with a depth of 24 and 8 bits for each colour. With another depth, QEMU sends 3
 * as well, and libvncserver sends 4.
 */
function tightBytesOf(bytes: Buffer, at: number, bytesPerPixel: number): number | undefined {
  const hasByteColours = [4, 6, 8].every((offset) => bytes.readUInt16BE(at + offset) === MAX_OF_A_BYTE)
  if (bytesPerPixel !== 4 || !hasByteColours) return bytesPerPixel
  return bytes[at + 1] === 24 ? 3 : undefined
}
