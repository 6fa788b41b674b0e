/** Fonts of consoles: bitmaps of one size, and the characters that they show. */

export interface Glyph {
  /** The character that this bitmap shows. */
  readonly codePoint: number
  /** The rows from the top. The leftmost pixel is the highest of the glyph's bits. */
  readonly rows: readonly number[]
  /** Whether the glyph is two cells wide, as those of Chinese are. Default: false. */
  readonly wide?: boolean
}

export interface BitmapFont {
  readonly name: string
  /** The size of a cell in pixels; at most 32 wide. */
  readonly width: number
  readonly height: number
  readonly glyphs: readonly Glyph[]
}
