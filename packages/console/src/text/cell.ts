/** Reduces one cell of a picture to its two colours and its bits. */

/** What a cell has: one colour, two colours, or more, which no character has. */
export type CellKind = 'blank' | 'ink' | 'picture'

/** A picture whose pixels are compared as whole numbers. */
export interface Pixels {
  readonly width: number
  readonly height: number
  readonly data: Uint32Array
}

/** The cell that was scanned last; it is overwritten by the next scan, because a screen has thousands. */
export class CellScan {
  /** The bits of each row, the leftmost pixel highest. A bit is set where the pixel is not of the colour `first`. */
  readonly rows = new Int32Array(64)
  /** The colour of the top left pixel. */
  first = 0
  /** The other colour, if there is one. */
  second = 0

  /** Scans `width` × `height` pixels, of which the whole must be inside the picture. */
  scan({ data, width: stride }: Pixels, left: number, top: number, width: number, height: number): CellKind {
    const first = data[top * stride + left]!
    let second = first
    for (let y = 0; y < height; y++) {
      let at = (top + y) * stride + left
      let row = 0
      for (const end = at + width; at < end; at++) {
        const pixel = data[at]!
        row <<= 1
        if (pixel === first) continue
        row |= 1
        if (pixel === second) continue
        if (second !== first) return 'picture'
        second = pixel
      }
      this.rows[y] = row
    }
    this.first = first
    this.second = second
    return second === first ? 'blank' : 'ink'
  }

  /**
   * Scans a cell of VGA text mode with nine columns for glyphs with eight. The hardware leaves the ninth empty, or
   * repeats the eighth in it so that frames have no gaps; a cursor covers it too. Anything else is a picture.
   */
  scanNine(pixels: Pixels, left: number, top: number, height: number): CellKind {
    const kind = this.scan(pixels, left, top, 9, height)
    if (kind !== 'ink') return kind
    let [repeats, zeros, ones] = [true, true, true]
    for (let y = 0; y < height; y++) {
      const row = this.rows[y]!
      const [eighth, ninth] = [(row >> 1) & 1, row & 1]
      if (eighth !== ninth) repeats = false
      if (ninth === 1 && row !== 0x1ff) zeros = false
      if (ninth === 0 && row !== 0) ones = false
      this.rows[y] = row >> 1
    }
    return repeats || zeros || ones ? 'ink' : 'picture'
  }
}

/** Views a picture's pixels as whole numbers. Copies them if they are not aligned. */
export function pixelsOf({ width, height, rgba }: { width: number; height: number; rgba: Uint8Array }): Pixels {
  const bytes = width * height * 4
  if (rgba.length < bytes) throw new RangeError(`${width}x${height} pixels need ${bytes} bytes, not ${rgba.length}`)
  const aligned = rgba.byteOffset % 4 === 0 ? rgba : rgba.slice(0, bytes)
  return { width, height, data: new Uint32Array(aligned.buffer, aligned.byteOffset, width * height) }
}
