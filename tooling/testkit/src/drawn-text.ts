/** Draws text with a bitmap font, as a console does. */

export interface DrawnFont {
  readonly width: number
  readonly height: number
  /** Rows from the top; the leftmost pixel is the highest bit. */
  readonly glyphs: readonly { readonly codePoint: number; readonly rows: readonly number[]; readonly wide?: boolean }[]
}

export interface DrawOptions {
  readonly font: DrawnFont
  readonly width: number
  readonly height: number
  /** Where the first cell begins. Default: 0, 0. */
  readonly left?: number
  readonly top?: number
  /** Pixels from one cell to the next. A ninth repeats the eighth in frames and is empty else, as in VGA text mode. */
  readonly pitch?: number
  /** Red, green and blue as 0xRRGGBB of a cell. Default: light grey on black. */
  readonly colours?: (column: number, row: number) => { readonly ink: number; readonly paper: number }
}

/** Returns an RGBA picture of the lines. A wide character takes two columns. @throws Error for a character without a glyph */
export function drawText(lines: readonly string[], options: DrawOptions) {
  const { font, width, height, left = 0, top = 0, pitch = font.width, colours = greyOnBlack } = options
  const glyphs = new Map(font.glyphs.map((glyph) => [glyph.codePoint, glyph]))
  const picture = { width, height, rgba: new Uint8Array(width * height * 4) }
  const fill = (x: number, y: number, colour: number) =>
    picture.rgba.set([colour >> 16, (colour >> 8) & 255, colour & 255, 255], (y * width + x) * 4)
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) fill(x, y, 0)
  for (const [row, line] of lines.entries()) {
    let column = 0
    for (const character of line) {
      const glyph = glyphs.get(character.codePointAt(0)!)
      if (!glyph) throw new Error(`The font has no ${character}`)
      const cells = glyph.wide ? 2 : 1
      const bits = glyph.wide ? 2 * font.width : font.width
      const { ink, paper } = colours(column, row)
      for (let y = 0; y < font.height; y++)
        for (let x = 0; x < cells * pitch; x++) {
          const bit = x < bits ? bits - 1 - x : repeatsLast(character) ? 0 : undefined
          const isInk = bit !== undefined && ((glyph.rows[y]! >>> bit) & 1) === 1
          fill(left + column * pitch + x, top + row * font.height + y, isInk ? ink : paper)
        }
      column += cells
    }
  }
  return picture
}

const greyOnBlack = () => ({ ink: 0xaaaaaa, paper: 0 })
const repeatsLast = (character: string) => character >= '\u2500' && character < '\u25a0'
