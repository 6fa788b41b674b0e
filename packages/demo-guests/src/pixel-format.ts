/** RFB pixel formats (RFC 6143 section 7.4): read, write, and put pixels into them. */
import type { Picture, Rect } from './picture.ts'

/** PIXEL_FORMAT as on the wire, for true colour only. */
export interface PixelFormat {
  readonly bitsPerPixel: 8 | 16 | 32
  readonly depth: number
  readonly bigEndian: boolean
  readonly max: readonly [red: number, green: number, blue: number]
  readonly shift: readonly [red: number, green: number, blue: number]
}

/** The format that the guest proposes: 32 bits, little endian, 0x00RRGGBB. */
export const nativeFormat: PixelFormat = {
  bitsPerPixel: 32,
  depth: 24,
  bigEndian: false,
  max: [255, 255, 255],
  shift: [16, 8, 0],
}

/** The sixteen bytes of a PIXEL_FORMAT. */
export function writePixelFormat(format: PixelFormat): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.set([format.bitsPerPixel, format.depth, format.bigEndian ? 1 : 0, 1])
  format.max.forEach((max, index) => {
    bytes.writeUInt16BE(max, 4 + index * 2)
  })
  bytes.set(format.shift, 10)
  return bytes
}

/**
 * A PIXEL_FORMAT of sixteen bytes.
 * @throws RangeError for a colour map, other widths than 8, 16 and 32 bits, and channels that do not fit into the pixel.
 */
export function readPixelFormat(bytes: Buffer): PixelFormat {
  const [bitsPerPixel, depth, bigEndian, trueColour] = [bytes[0]!, bytes[1]!, bytes[2] !== 0, bytes[3] !== 0]
  if (bitsPerPixel !== 8 && bitsPerPixel !== 16 && bitsPerPixel !== 32) throw new RangeError('bits-per-pixel')
  if (!trueColour) throw new RangeError('colour maps are not supported')
  const max = [bytes.readUInt16BE(4), bytes.readUInt16BE(6), bytes.readUInt16BE(8)] as const
  const shift = [bytes[10]!, bytes[11]!, bytes[12]!] as const
  if (max.some((value, index) => value * 2 ** shift[index]! >= 2 ** bitsPerPixel)) throw new RangeError('channels')
  return { bitsPerPixel, depth, bigEndian, max, shift }
}

/** Converts a picture's colours to bytes of one pixel format. */
export interface PixelWriter {
  readonly bytesPerPixel: number
  /** The pixels of `area`, row by row. The area must lie inside the picture. */
  raw(picture: Pick<Picture, 'colourAt'>, area: Rect): Buffer
}

export function pixelWriter(format: PixelFormat): PixelWriter {
  const [red, green, blue] = [0, 1, 2].map((channel) => levels(format.max[channel]!, format.shift[channel]!))
  const bytesPerPixel = format.bitsPerPixel / 8
  const put = putters[format.bitsPerPixel][format.bigEndian ? 'big' : 'little']
  const encode = (colour: number) => (red![colour >> 16]! | green![(colour >> 8) & 255]! | blue![colour & 255]!) >>> 0
  return {
    bytesPerPixel,
    raw(picture, { x, y, width, height }) {
      const bytes = Buffer.allocUnsafe(width * height * bytesPerPixel)
      let offset = 0
      for (let row = y; row < y + height; row++) {
        for (let column = x; column < x + width; column++) {
          put(bytes, encode(picture.colourAt(column, row)), offset)
          offset += bytesPerPixel
        }
      }
      return bytes
    },
  }
}

type Put = (bytes: Buffer, value: number, offset: number) => void

const putters = {
  8: {
    big: (bytes, value, offset) => bytes.writeUInt8(value, offset),
    little: (bytes, value, offset) => bytes.writeUInt8(value, offset),
  },
  16: {
    big: (bytes, value, offset) => bytes.writeUInt16BE(value, offset),
    little: (bytes, value, offset) => bytes.writeUInt16LE(value, offset),
  },
  32: {
    big: (bytes, value, offset) => bytes.writeUInt32BE(value, offset),
    little: (bytes, value, offset) => bytes.writeUInt32LE(value, offset),
  },
} satisfies Record<PixelFormat['bitsPerPixel'], Record<'big' | 'little', Put>>

/** For each of 256 levels of a channel, its bits in the pixel. */
function levels(max: number, shift: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, level) => Math.round((level * max) / 255) * 2 ** shift)
}
