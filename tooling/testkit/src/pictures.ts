/** Decodes pictures from hypervisors and browsers into one format, and measures how much two of them differ. */
import { PNG } from 'pngjs'

/** A picture with three bytes per pixel (red, green, blue), row by row from the top. */
export interface RgbPicture {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** Decodes a binary PPM ("P6", 8 bits per channel) as QEMU's screendump writes it. @throws Error for other formats. */
export function parsePpm(bytes: Uint8Array): RgbPicture {
  const head = /^P6\s(?:#[^\n]*\n)*(\d+)\s+(\d+)\s+255\s/.exec(Buffer.from(bytes.subarray(0, 1024)).toString('latin1'))
  if (!head) throw new Error('Not a binary PPM with 8 bits per channel')
  const [width, height] = [Number(head[1]), Number(head[2])]
  const data = bytes.subarray(head[0].length, head[0].length + width * height * 3)
  if (data.length < width * height * 3) throw new Error(`The PPM ends early: ${data.length} bytes of pixels`)
  return { width, height, data }
}

/** Decodes a PNG and ignores its transparency. @throws Error if `bytes` is not a PNG that pngjs supports */
export function decodePng(bytes: Uint8Array): RgbPicture {
  const { width, height, data } = PNG.sync.read(Buffer.from(bytes))
  return { width, height, data: withoutAlpha(data) }
}

/** Encodes a picture as PNG, to inspect a failed comparison. */
export function encodePng({ width, height, data }: RgbPicture): Buffer {
  const png = new PNG({ width, height })
  for (let pixel = 0; pixel < width * height; pixel++) {
    png.data.set([data[pixel * 3]!, data[pixel * 3 + 1]!, data[pixel * 3 + 2]!, 255], pixel * 4)
  }
  return PNG.sync.write(png)
}

/**
 * Returns the share of pixels, 0 to 1, in which any channel differs by more than `tolerancePerChannel` levels.
 * Default: 0.
 * @throws RangeError if the pictures differ in size or have no pixels.
 */
export function differingShare(a: RgbPicture, b: RgbPicture, tolerancePerChannel = 0): number {
  const [sizeA, sizeB] = [a, b].map(({ width, height }) => `${width}x${height}`)
  if (sizeA !== sizeB) throw new RangeError(`Sizes differ: ${sizeA} and ${sizeB}`)
  const pixels = a.width * a.height
  if (pixels === 0) throw new RangeError('There are no pixels to compare')
  let differing = 0
  for (let pixel = 0; pixel < pixels; pixel++)
    if (differs(a.data, b.data, pixel * 3, tolerancePerChannel)) differing += 1
  return differing / pixels
}

function differs(a: Uint8Array, b: Uint8Array, offset: number, tolerance: number): boolean {
  return [0, 1, 2].some((channel) => Math.abs(a[offset + channel]! - b[offset + channel]!) > tolerance)
}

function withoutAlpha(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3)
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) rgb.set(rgba.subarray(from, from + 3), to)
  return rgb
}
