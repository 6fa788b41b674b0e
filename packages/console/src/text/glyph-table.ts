/** Tables of glyphs: which character a bitmap of a font shows. They have hashes instead of bitmaps. */
import type { BitmapFont, Glyph } from './font.ts'
import { fullRow, hashRows } from './hash.ts'

/** Hashes of bitmaps, and the characters that they show. */
export type Hashes = readonly (readonly [hash: number, codePoint: number])[]

/** A font in a table. */
export interface Face {
  readonly name: string
  readonly width: number
  readonly height: number
  /** The bitmaps that are one cell wide. */
  readonly narrow: Hashes
  /** The bitmaps that are two cells wide. */
  readonly wide: Hashes
  /** Bitmaps of which a text cursor hides a part, see {@link withCursor}. */
  readonly underCursor: Hashes
}

/** A bitmap's character in one face; `next` has that in another. */
export interface Reading {
  /** The index in {@link CellSize.faces}. */
  readonly face: number
  readonly codePoint: number
  readonly next: Reading | undefined
}

export type Readings = ReadonlyMap<number, Reading>

/** The faces whose cells have this size. */
export interface CellSize {
  readonly width: number
  readonly height: number
  readonly faces: readonly string[]
  readonly narrow: Readings
  readonly wide: Readings
  readonly underCursor: Readings
}

/** What `readText` looks bitmaps up in. Faces that come first win where two read a screen equally well. */
export interface GlyphTable {
  /** In the order of their first face. */
  readonly sizes: readonly CellSize[]
}

/**
 * Makes a table of fonts, for screens whose font is in no table of this package.
 * @throws RangeError if a font's cell is wider than 32 pixels
 */
export function createGlyphTable(fonts: readonly BitmapFont[]): GlyphTable {
  return tableOfFaces(fonts.map(faceOf))
}

/** Groups faces by their size. */
export function tableOfFaces(faces: readonly Face[]): GlyphTable {
  const sizes = Map.groupBy(faces, ({ width, height }) => `${width}x${height}`)
  return { sizes: [...sizes.values()].map(sizeOf) }
}

function sizeOf(faces: readonly Face[]): CellSize {
  const { width, height } = faces[0]!
  const merged = (kind: 'narrow' | 'wide' | 'underCursor') => merge(faces.map((face) => face[kind]))
  const names = faces.map(({ name }) => name)
  return {
    width,
    height,
    faces: names,
    narrow: merged('narrow'),
    wide: merged('wide'),
    underCursor: merged('underCursor'),
  }
}

function merge(faces: readonly Hashes[]): Readings {
  const readings = new Map<number, Reading>()
  for (const [face, glyphs] of faces.entries())
    for (const [hash, codePoint] of glyphs) readings.set(hash, { face, codePoint, next: readings.get(hash) })
  return readings
}

/** Returns the character that a bitmap shows in a face, or `undefined` if the face lacks the bitmap. */
export function codePointIn(reading: Reading | undefined, face: number): number | undefined {
  for (let one = reading; one; one = one.next) if (one.face === face) return one.codePoint
  return undefined
}

/** Hashes the bitmaps of a font. */
export function faceOf({ name, width, height, glyphs }: BitmapFont): Face {
  if (width > 32) throw new RangeError(`${name}: a cell of ${width} pixels is wider than 32`)
  const narrow = distinct(glyphs.filter((glyph) => !glyph.wide && !looksBlank(glyph, width)))
  const wide = distinct(glyphs.filter((glyph) => glyph.wide && width <= 16 && !looksBlank(glyph, width)))
  const hashes = hashed(narrow)
  const known = new Set(hashes.map(([hash]) => hash))
  const hidden = unambiguous(hashed(narrow.flatMap((glyph) => withCursor(glyph, width))))
  return {
    name,
    width,
    height,
    narrow: hashes,
    wide: hashed(wide),
    underCursor: hidden.filter(([hash]) => !known.has(hash)),
  }
}

/**
 * Whether a glyph is a space, or looks like the cursor on one: some fonts have U+2581, lower one eighth block, at that
 * place. An underscore counts as itself.
 */
function looksBlank({ rows, codePoint }: Glyph, width: number): boolean {
  if (rows.every((row) => row === 0)) return true
  const isCursor = ([first, last]: readonly [number, number]) =>
    rows.every((row, y) => row === (y >= first && y <= last ? fullRow(width) : 0))
  return codePoint !== 0x5f && cursorRows(rows.length).some(isCursor)
}

const hashed = (glyphs: readonly Glyph[]) =>
  glyphs.map(({ rows, codePoint }) => [hashRows(rows, rows.length), codePoint] as const)

/** Returns one glyph for each bitmap: the one that {@link rank} prefers. */
function distinct(glyphs: readonly Glyph[]): Glyph[] {
  const sorted = glyphs.toSorted(({ codePoint: a }, { codePoint: b }) => rank(a) - rank(b) || a - b)
  const bitmaps = new Map<number, Glyph>()
  for (const glyph of sorted) {
    const hash = hashRows(glyph.rows, glyph.rows.length)
    if (!bitmaps.has(hash)) bitmaps.set(hash, glyph)
  }
  return [...bitmaps.values()]
}

/** Drops bitmaps that show several characters. */
function unambiguous(pairs: Hashes): Hashes {
  const characters = Map.groupBy(pairs, ([hash]) => hash)
  return [...characters.values()].filter((same) => same.length === 1).flat()
}

/**
 * Where several characters have one bitmap, such as the Latin and the Cyrillic A: ASCII wins, then Latin, then frames and
 * blocks, then all others, last blanks in disguise and private characters. In the same rank the lower code point wins.
 */
function rank(codePoint: number): number {
  if (codePoint < 0x80) return 0
  if (codePoint === 0xa0 || codePoint === 0xad) return 4
  if (codePoint < 0x250) return 1
  if (codePoint >= 0x2500 && codePoint < 0x25a0) return 2
  return codePoint >= 0xe000 && codePoint < 0xf900 ? 5 : 3
}

/** The height of a cell in a UEFI firmware. No other console has it. */
const UEFI_HEIGHT = 19

/**
 * The rows that a cursor covers, first and last: in VGA text mode the third and second from below; the last two, as
 * GRUB's gfxterm draws it; the last three of a UEFI firmware.
 */
export function cursorRows(height: number): readonly (readonly [first: number, last: number])[] {
  if (height < 10) return [[height - 2, height - 2]]
  if (height === UEFI_HEIGHT) return [[height - 3, height - 1]]
  return [
    [height - 3, height - 2],
    [height - 2, height - 1],
  ]
}

/** The last Cyrillic character. Other scripts and signs are rarely edited, and would double the tables. */
const LAST_UNDER_CURSOR = 0x52f

/**
 * Returns the glyph as it looks under a cursor, if that hides some of it. A glyph with nothing in those rows needs no
 * entry: the reader finds it by clearing them. It wins over all that differ only under the cursor.
 */
function withCursor({ rows, codePoint }: Glyph, width: number): Glyph[] {
  if (codePoint > LAST_UNDER_CURSOR) return []
  return cursorRows(rows.length)
    .filter(([first, last]) => rows.slice(first, last + 1).some((row) => row !== 0))
    .map(([first, last]) => ({
      codePoint,
      rows: rows.map((row, y) => (y >= first && y <= last ? fullRow(width) : row)),
    }))
}
