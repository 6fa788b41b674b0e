/** Reads the text on a console's screen from its picture, by exact comparison with the bitmaps of console fonts. */
import type { Image } from '../screen/image.ts'
import { type Pixels, pixelsOf } from './cell.ts'
import { findGrid } from './find-grid.ts'
import { codePointIn, type GlyphTable } from './glyph-table.ts'
import { type Cell, type Grid, type GridReading, type InkCell, PICTURE, readUnderCursor, readWide } from './grid.ts'

/** Stands for a cell that shows no character of the table. */
export const UNREADABLE = '\ufffd'

/** Where the cells of a screen are, in pixels. */
export interface TextGrid {
  /** The left and top of the first cell. */
  readonly left: number
  readonly top: number
  readonly cellWidth: number
  readonly cellHeight: number
  readonly columns: number
  readonly rows: number
}

export interface ScreenText {
  /**
   * The rows of the screen, without blanks at their ends. A wide character counts as two columns. Empty if there is no
   * text at all.
   */
  readonly lines: readonly string[]
  /** `undefined` if there is no text. */
  readonly grid: TextGrid | undefined
  /** The name of the font, such as `VGA 8x16`. `undefined` if there is no text. */
  readonly font: string | undefined
  /** The lines, with `\n` between them and without empty lines at the end. */
  toString(): string
}

export interface ReadOptions {
  /**
   * An earlier text of the same screen. Its grid is tried first, which saves most of the time: pass it when a picture has
   * changed.
   */
  readonly previous?: ScreenText
}

/** The grids of texts, so that the public type need not have the table's. */
const grids = new WeakMap<ScreenText, { readonly grid: Grid; readonly table: GlyphTable }>()

/**
 * Reads the text on a picture. A cell that shows no character of the table is U+FFFD; no cell is guessed.
 *
 * - A blank cell is a space, of whichever colour.
 * - Inverse video reads the same. A half block reads as that on the background of its surroundings.
 * - A text cursor over a cell is seen through. What it hides counts as blank.
 * - Where characters look the same in a font, ASCII wins, then Latin.
 *
 * @throws RangeError if `rgba` is too short for the picture's size
 */
export function readText(image: Image, table: GlyphTable, { previous }: ReadOptions = {}): ScreenText {
  const pixels = pixelsOf(image)
  const reading = findGrid(pixels, table, fittingGrid(pixels, table, previous))
  if (!reading) return noText
  const text = textOf(pixels, reading)
  grids.set(text, { grid: reading.grid, table })
  return text
}

const noText: ScreenText = { lines: [], grid: undefined, font: undefined, toString: () => '' }

/** Returns the grid of an earlier text, if the picture still has its size. */
function fittingGrid({ width, height }: Pixels, table: GlyphTable, previous: ScreenText | undefined): Grid | undefined {
  const known = previous && grids.get(previous)
  if (known?.table !== table) return undefined
  const { grid } = known
  const fits = (size: number, start: number, cell: number, cells: number) => Math.floor((size - start) / cell) === cells
  return fits(width, grid.left, grid.pitch, grid.columns) && fits(height, grid.top, grid.size.height, grid.rows)
    ? grid
    : undefined
}

function textOf(pixels: Pixels, reading: GridReading): ScreenText {
  const { left, top, pitch, columns, rows, size } = reading.grid
  const background = commonBlank(reading.cells)
  const lines = Array.from({ length: rows }, (_, row) => lineOf(pixels, reading, row, background))
  return {
    lines,
    grid: { left, top, cellWidth: pitch, cellHeight: size.height, columns, rows },
    font: `${size.faces[reading.face]} ${size.width}x${size.height}`,
    toString: () => lines.join('\n').trimEnd(),
  }
}

/** Returns the colour of most blank cells. */
function commonBlank(cells: readonly Cell[]): number {
  const counts = new Map<number, number>()
  for (const cell of cells) if (typeof cell === 'number') counts.set(cell, (counts.get(cell) ?? 0) + 1)
  return [...counts].reduce((most, one) => (one[1] > most[1] ? one : most), [0, 0])[0]
}

function lineOf(pixels: Pixels, reading: GridReading, row: number, screenBackground: number): string {
  const { grid, cells } = reading
  let background = screenBackground
  const characters: string[] = []
  for (let column = 0; column < grid.columns; column++) {
    const cell = cells[row * grid.columns + column]!
    const seen = cell === PICTURE ? undefined : seeThrough(pixels, reading, cell, column, row)
    const shown = typeof seen === 'object' ? characterOf(seen, reading.face, background) : undefined
    // Not of a blank cell: that may be a full block.
    if (shown) background = shown.background
    characters.push(typeof seen === 'number' ? ' ' : (shown?.character ?? UNREADABLE))
  }
  return withWide(pixels, reading, row, characters).join('').trimEnd()
}

/** Returns the cell, or the cell below a cursor if the face does not know it otherwise. */
function seeThrough(pixels: Pixels, { grid, face }: GridReading, cell: number | InkCell, column: number, row: number) {
  if (typeof cell === 'number') return cell
  const isKnown = codePointIn(cell.straight, face) !== undefined || codePointIn(cell.inverse, face) !== undefined
  return isKnown ? cell : readUnderCursor(pixels, grid, column, row)
}

/** Returns what a cell shows. Where both colours could be the background, it is that of the surroundings. */
function characterOf({ first, second, straight, inverse }: InkCell, face: number, surroundings: number) {
  const [onFirst, onSecond] = [codePointIn(straight, face), codePointIn(inverse, face)]
  const isInverse = onFirst === undefined || (onSecond !== undefined && second === surroundings)
  const codePoint = isInverse ? onSecond : onFirst
  if (codePoint === undefined) return undefined
  return { character: String.fromCodePoint(codePoint), background: isInverse ? second : first }
}

/** Replaces pairs of cells by the wide characters in them, where one of the two is unreadable otherwise. */
function withWide(pixels: Pixels, { grid, face }: GridReading, row: number, characters: string[]): string[] {
  if (grid.size.wide.size === 0 || !characters.includes(UNREADABLE)) return characters
  const wide: string[] = []
  for (let column = 0; column < characters.length; column++) {
    const isUnread = characters[column] === UNREADABLE || characters[column + 1] === UNREADABLE
    const cell = isUnread ? readWide(pixels, grid, column, row) : undefined
    const shown = cell && characterOf(cell, face, cell.first)
    wide.push(shown?.character ?? characters[column]!)
    if (shown) column += 1
  }
  return wide
}
