/** A grid of character cells on a picture, and reading the cells on it. */
import { CellScan, type Pixels } from './cell.ts'
import { type CellSize, codePointIn, cursorRows, type Reading } from './glyph-table.ts'
import { fullRow, hashRows } from './hash.ts'

export interface Grid {
  readonly size: CellSize
  /** Where the first cell begins, in pixels. */
  readonly left: number
  readonly top: number
  /** Pixels from one cell to the next: the glyphs' width, or nine in VGA text mode. */
  readonly pitch: number
  readonly columns: number
  readonly rows: number
}

/** Returns the grid with as many whole cells as the picture has room for. */
export function gridAt({ width, height }: Pixels, size: CellSize, left: number, top: number, pitch = size.width): Grid {
  const columns = Math.floor((width - left) / pitch)
  return { size, left, top, pitch, columns, rows: Math.floor((height - top) / size.height) }
}

/** A cell with two colours. What it shows depends on which of them is the background. */
export interface InkCell {
  /** The colour of the top left pixel, and the other one. */
  readonly first: number
  readonly second: number
  /** What it shows if `first` is the background. */
  readonly straight: Reading | undefined
  /** What it shows if `second` is the background. */
  readonly inverse: Reading | undefined
}

/** A cell with more than two colours. */
export const PICTURE = 'picture'
/** A cell's content; a blank cell is its colour. */
export type Cell = number | InkCell | typeof PICTURE

/** One scan for all reads: they are synchronous. */
const scan = new CellScan()

export function scanCell(pixels: Pixels, { left, top, pitch, size }: Grid, column: number, row: number) {
  const [x, y] = [left + column * pitch, top + row * size.height]
  return pitch === size.width ? scan.scan(pixels, x, y, pitch, size.height) : scan.scanNine(pixels, x, y, size.height)
}

/** Reads one cell. */
export function readCell(pixels: Pixels, grid: Grid, column: number, row: number): Cell {
  const kind = scanCell(pixels, grid, column, row)
  if (kind === 'blank') return scan.first
  if (kind === 'picture') return PICTURE
  const { narrow, width, height } = grid.size
  const straight = narrow.get(hashRows(scan.rows, height))
  // Only blocks and shapes are also characters when inverted, such as the upper and the lower half block.
  const inverse =
    straight && !isShape(straight.codePoint) ? undefined : narrow.get(hashRows(scan.rows, height, fullRow(width)))
  return { first: scan.first, second: scan.second, straight, inverse }
}

const isShape = (codePoint: number) => codePoint >= 0x2000 && codePoint < 0x2c00

/** Reads a wide character in a cell and the next one. */
export function readWide(pixels: Pixels, grid: Grid, column: number, row: number): InkCell | undefined {
  const { left, top, pitch, size } = grid
  if (size.wide.size === 0 || pitch !== size.width || column + 1 >= grid.columns) return undefined
  const { width, height } = size
  if (scan.scan(pixels, left + column * pitch, top + row * height, 2 * width, height) !== 'ink') return undefined
  const straight = size.wide.get(hashRows(scan.rows, height))
  const inverse = size.wide.get(hashRows(scan.rows, height, fullRow(2 * width)))
  return straight || inverse ? { first: scan.first, second: scan.second, straight, inverse } : undefined
}

/** Reads a cell as if a text cursor were on it. @returns a blank cell's colour, or what the cursor lets see of it */
export function readUnderCursor(pixels: Pixels, grid: Grid, column: number, row: number): number | InkCell | undefined {
  if (scanCell(pixels, grid, column, row) !== 'ink') return undefined
  const { first, second } = scan
  const straight = lookUnderCursor(grid.size, 0)
  if (straight === 'blank') return first
  const inverse = straight ? undefined : lookUnderCursor(grid.size, fullRow(grid.size.width))
  if (inverse === 'blank') return second
  return straight || inverse ? { first, second, straight, inverse } : undefined
}

/** Looks the scanned cell up as if a cursor covered some of it. `mask` is that of the background. */
function lookUnderCursor(size: CellSize, mask: number): Reading | 'blank' | undefined {
  const shapes = cursorRows(size.height)
  for (const [first, last] of shapes) {
    const found = painted(size, mask, first, last)
    if (found) return found
  }
  // Linux's framebuffer console and UEFI firmware invert the pixels under the cursor, in the last rows.
  const [first, last] = shapes.at(-1)!
  return changed(size, mask, (row, y) => (y < first || y > last ? row : row ^ fullRow(size.width)))
}

/** VGA's text mode and GRUB paint the cursor over the character. */
function painted(size: CellSize, mask: number, first: number, last: number): Reading | 'blank' | undefined {
  const full = fullRow(size.width)
  for (let y = first; y <= last; y++) if ((scan.rows[y]! ^ mask) !== full) return undefined
  const cleared = changed(size, mask, (row, y) => (y < first || y > last ? row : mask))
  return cleared ?? size.underCursor.get(hashRows(scan.rows, size.height, mask))
}

/** Looks the scanned cell up with other rows. */
function changed({ narrow, height }: CellSize, mask: number, change: (row: number, y: number) => number) {
  const rows = scan.rows.slice(0, height).map(change)
  return rows.every((row) => row === mask) ? 'blank' : narrow.get(hashRows(rows, height, mask))
}

/** All cells of a grid, and the face that reads most of them. */
export interface GridReading {
  readonly grid: Grid
  /** Row by row. */
  readonly cells: readonly Cell[]
  readonly face: number
  /** How many cells are letters or digits of the face. Lines and blocks prove nothing: pictures have them too. */
  readonly letters: number
  /** How many cells have something that the face does not know. */
  readonly unread: number
}

export function readGrid(pixels: Pixels, grid: Grid): GridReading {
  const cells: Cell[] = new Array(grid.columns * grid.rows)
  for (let row = 0, at = 0; row < grid.rows; row++)
    for (let column = 0; column < grid.columns; column++) cells[at++] = readCell(pixels, grid, column, row)
  const face = commonFace(pixels, grid, cells)
  let [letters, unread] = [0, 0]
  for (const [at, cell] of cells.entries()) {
    const codePoint = codePointOf(cell, face)
    if (codePoint !== undefined) letters += Number(isLetter(codePoint))
    else if (typeof cell !== 'number') {
      unread += 1
      // The second half of a wide character counts as unread again, which a text with few others can bear.
      if (wideAt(pixels, grid, at)) letters += 1
    }
  }
  return { grid, cells, face, letters, unread }
}

const wideAt = (pixels: Pixels, grid: Grid, at: number) =>
  readWide(pixels, grid, at % grid.columns, Math.floor(at / grid.columns))

/** Returns what a cell shows on either background. */
function codePointOf(cell: Cell, face: number): number | undefined {
  if (typeof cell === 'number' || cell === PICTURE) return undefined
  return codePointIn(cell.straight, face) ?? codePointIn(cell.inverse, face)
}

/** Returns the face that knows most cells. Dots and lines count little: halves of wide characters look like them. */
function commonFace(pixels: Pixels, grid: Grid, cells: readonly Cell[]): number {
  const counts = grid.size.faces.map(() => 0)
  for (const [at, cell] of cells.entries()) {
    if (typeof cell === 'number' || cell === PICTURE) continue
    const shown = cell.straight || cell.inverse ? cell : wideAt(pixels, grid, at)
    const reading = shown?.straight ?? shown?.inverse
    // The same for all faces, although a bitmap may be a letter in one and a frame in another.
    const weight = reading && isDistinct(reading.codePoint) ? 8 : 1
    for (let one = reading; one; one = one.next) counts[one.face]! += weight
  }
  return counts.indexOf(Math.max(...counts))
}

/** Whether a character is a letter or a digit, roughly: no mark, sign, line or block. */
export function isLetter(codePoint: number): boolean {
  if (codePoint < 0xc0) return /[A-Za-z0-9]/.test(String.fromCharCode(codePoint))
  return codePoint < 0x2000 || codePoint >= 0x3040
}

/** Whether a character is no mere dot or line, which any picture has at many places. */
export const isDistinct = (codePoint: number): boolean =>
  isLetter(codePoint) || (codePoint < 0xc0 && !/[\s.,:;'"`^~_|=\-\xa6-\xb8]/.test(String.fromCharCode(codePoint)))
