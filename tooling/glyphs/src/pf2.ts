/** Reads GRUB's fonts (GRUB: the developer manual, "PFF2 Font File Format"). */
import type { BitmapFont, Glyph } from '@oriel/console'

/**
 * Reads a font whose narrow glyphs advance by half of what the wide ones do, as GNU Unifont's. A glyph is placed in its
 * cell as GRUB's gfxterm does it: the cell's width is the widest advance in ASCII, and its height ascent plus descent.
 * @throws Error if the file is not a font of that format
 */
export function readPf2(name: string, file: Uint8Array): BitmapFont {
  const bytes = Buffer.from(file)
  const sections = sectionsOf(bytes)
  if (sections.get('FILE')?.toString('latin1') !== 'PFF2') throw new Error(`${name} is not a font of GRUB`)
  const [ascent, descent] = [sections.get('ASCE')!.readUInt16BE(0), sections.get('DESC')!.readUInt16BE(0)]
  const all = entries(sections.get('CHIX')!).map(({ codePoint, at }) => ({ codePoint, ...glyphAt(bytes, at) }))
  const width = Math.max(...all.filter(({ codePoint }) => isAscii(codePoint)).map(({ advance }) => advance))
  const height = ascent + descent
  const characters = all.filter(({ codePoint }) => isVisible(codePoint))
  const placed = characters.map((glyph) => place(glyph, width, ascent, height)).filter((glyph) => glyph !== undefined)
  return { name, width, height, glyphs: placed }
}

/**
 * Whether a character has a cell of its own. GRUB draws marks over other characters, Unifont has boxes with the numbers of
 * unassigned ones, and joined forms of Arabic have numbers beyond Unicode.
 */
const isVisible = (codePoint: number) =>
  codePoint <= 0x10ffff && /[\p{L}\p{N}\p{P}\p{S}\p{Zs}]/u.test(String.fromCodePoint(codePoint))

const isAscii = (codePoint: number) => codePoint >= 0x20 && codePoint < 0x7f

/** The parts before `DATA`, which ends the list. */
function sectionsOf(bytes: Buffer): Map<string, Buffer> {
  const sections = new Map<string, Buffer>()
  for (let at = 0; ; ) {
    const [name, length] = [bytes.toString('latin1', at, at + 4), bytes.readUInt32BE(at + 4)]
    if (name === 'DATA') return sections
    sections.set(name, bytes.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
}

/** The character index: code point, flags, and the offset of the glyph in the file. */
function entries(index: Buffer) {
  const BYTES = 9
  return Array.from({ length: index.length / BYTES }, (_, i) => ({
    codePoint: index.readUInt32BE(i * BYTES),
    at: index.readUInt32BE(i * BYTES + 5),
  }))
}

interface PlacedBitmap {
  readonly width: number
  readonly height: number
  /** Where the bitmap's left and bottom edges are, from the origin on the baseline. */
  readonly x: number
  readonly y: number
  readonly advance: number
  readonly isSet: (column: number, row: number) => boolean
}

function glyphAt(bytes: Buffer, at: number): PlacedBitmap {
  const [width, height] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)]
  const [x, y, advance] = [bytes.readInt16BE(at + 4), bytes.readInt16BE(at + 6), bytes.readInt16BE(at + 8)]
  // One bit after the other, without padding between rows.
  const isSet = (column: number, row: number) => {
    const bit = row * width + column
    return ((bytes[at + 10 + (bit >> 3)]! >> (7 - (bit & 7))) & 1) === 1
  }
  return { width, height, x, y, advance, isSet }
}

/** Draws the glyph into its cell, or into two. Returns `undefined` for glyphs that are of another width. */
function place(
  glyph: PlacedBitmap & { codePoint: number },
  cell: number,
  ascent: number,
  height: number,
): Glyph | undefined {
  if (glyph.advance !== cell && glyph.advance !== 2 * cell) return undefined
  const top = ascent - glyph.y - glyph.height
  const rows = new Array<number>(height).fill(0)
  for (let row = 0; row < glyph.height; row++)
    for (let column = 0; column < glyph.width; column++) {
      const [x, y] = [glyph.x + column, top + row]
      if (!glyph.isSet(column, row)) continue
      if (x < 0 || x >= glyph.advance || y < 0 || y >= height) return undefined
      rows[y]! |= 1 << (glyph.advance - 1 - x)
    }
  return { codePoint: glyph.codePoint, rows, wide: glyph.advance !== cell }
}
