/** The pseudo-encoding Cursor, RFC 6143 section 7.8.1. */
import type { Image, Rectangle } from '../screen/image.ts'
import type { Reading } from './wire/feed.ts'

/** The pointer's picture, which is not part of the screen's. */
export interface Cursor extends Image {
  /** The pixel of the picture that points. */
  readonly hotspot: { readonly x: number; readonly y: number }
}

/** The largest pointer that is kept. A larger one is read and dropped. */
const MAX_PIXELS = 256 * 256

/** @param rectangle whose position is that of the hotspot */
export function* readCursor({ x, y, width, height }: Rectangle): Reading<Cursor | undefined> {
  const isKept = width * height <= MAX_PIXELS
  const rgba = new Uint8Array(isKept ? width * height * 4 : 0)
  for (let row = 0; row < height; row += 1) {
    const pixels = yield width * 4
    if (isKept) rgba.set(pixels, row * width * 4)
  }
  for (let row = 0; row < height; row += 1) {
    const mask = yield Math.ceil(width / 8)
    for (let i = 0; isKept && i < width; i += 1) {
      rgba[(row * width + i) * 4 + 3] = mask[i >> 3]! & (128 >> (i & 7)) ? 255 : 0
    }
  }
  return isKept ? { width, height, rgba, hotspot: { x, y } } : undefined
}
