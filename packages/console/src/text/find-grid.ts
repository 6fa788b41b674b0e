/** Finds the grid and the font of the text on a picture. */
import type { Pixels } from './cell.ts'
import type { CellSize, GlyphTable } from './glyph-table.ts'
import { type Grid, type GridReading, gridAt, isDistinct, PICTURE, readCell, readGrid } from './grid.ts'

/** GRUB's gfxterm draws its text in a window with a border of this many pixels. */
const GRUB_BORDER = 10
/** How many places are read to judge one grid. More are read if these look good. */
const FEW = 12
const MANY = 48
/** How many places may show no character before any does. */
const GIVE_UP_AFTER = 6
/** How many grids are read in full. */
const FINALISTS = 3

/**
 * Returns the reading of the grid and the face that read most, or `undefined` if there is no text.
 * Tries the grids that consoles use first, and every offset of every cell size after that.
 */
export function findGrid(pixels: Pixels, table: GlyphTable, last: Grid | undefined): GridReading | undefined {
  const known = last && readGrid(pixels, last)
  if (known && isClear(known)) return known
  const places = inkedPlaces(pixels)
  if (places.length === 0) return known
  const usual = best(pixels, ranked(pixels, usualGrids(pixels, table), places))
  if (usual && isClear(usual)) return usual
  const other = best(pixels, ranked(pixels, shiftedGrids(pixels, table, places), places))
  return [known, usual, other]
    .filter((reading) => reading && isText(reading))
    .toSorted((a, b) => score(b!) - score(a!))[0]
}

/** Whether nearly all is read, so that no other grid can be better. One cell may be under a cursor. */
const isClear = ({ letters, unread }: GridReading) => letters >= 3 && (unread <= 1 || unread * 20 <= letters)

/** Whether this is text with some pictures, rather than a picture in which something looks like a letter. */
const isText = ({ letters, unread }: GridReading) => letters > 0 && unread <= letters * 8

const score = ({ letters, unread }: GridReading) => letters - unread / 8

function best(pixels: Pixels, grids: readonly Grid[]): GridReading | undefined {
  const readings: GridReading[] = []
  for (const grid of grids.slice(0, FINALISTS)) {
    const reading = readGrid(pixels, grid)
    if (isClear(reading)) return reading
    readings.push(reading)
  }
  return readings.filter(isText).toSorted((a, b) => score(b) - score(a))[0]
}

/** Returns the grids on which any place reads as a character, those with most first. */
function ranked(pixels: Pixels, grids: readonly Grid[], places: readonly Place[]): Grid[] {
  const some = spread(places, MANY)
  return grids
    .map((grid) => ({ grid, hits: hitsAt(pixels, grid, some) }))
    .filter(({ hits }) => hits > 0)
    .toSorted((a, b) => b.hits - a.hits)
    .map(({ grid }) => grid)
}

function usualGrids(pixels: Pixels, { sizes }: GlyphTable): Grid[] {
  return sizes.flatMap((size) => [
    ...(size.width === 8 && pixels.width % 9 === 0 ? [gridAt(pixels, size, 0, 0, 9)] : []),
    gridAt(pixels, size, 0, 0),
    gridAt(pixels, size, GRUB_BORDER, GRUB_BORDER),
  ])
}

/** Returns the grids on which a few places read as characters, by trying all offsets. */
function shiftedGrids(pixels: Pixels, { sizes }: GlyphTable, places: readonly Place[]): Grid[] {
  const few = spread(places, FEW)
  const enough = Math.min(few.length, 3)
  const found: Grid[] = []
  for (const size of sizes)
    for (const grid of offsetsOf(pixels, size)) if (hitsAt(pixels, grid, few) >= enough) found.push(grid)
  return found
}

function* offsetsOf(pixels: Pixels, size: CellSize): Generator<Grid> {
  for (let top = 0; top < size.height; top++)
    for (let left = 0; left < size.width; left++) yield gridAt(pixels, size, left, top)
}

/** Counts the places that read as characters. */
function hitsAt(pixels: Pixels, grid: Grid, places: readonly Place[]): number {
  let hits = 0
  for (const [i, place] of places.entries()) {
    // A grid that fits has characters at nearly all places; this halves the time for pictures without text.
    if (i === GIVE_UP_AFTER && hits === 0) return 0
    if (isHit(pixels, grid, place)) hits += 1
  }
  return hits
}

function isHit(pixels: Pixels, grid: Grid, { x, y }: Place): boolean {
  const column = Math.floor((x - grid.left) / grid.pitch)
  const row = Math.floor((y - grid.top) / grid.size.height)
  if (column < 0 || row < 0 || column >= grid.columns || row >= grid.rows) return false
  const cell = readCell(pixels, grid, column, row)
  if (typeof cell === 'number' || cell === PICTURE) return false
  const reading = cell.straight ?? cell.inverse
  return reading !== undefined && isDistinct(reading.codePoint)
}

/** A pixel at which a stroke begins. */
interface Place {
  readonly x: number
  readonly y: number
}

/** Returns places where the colour changes between two pixels and whose surroundings have only these two colours. */
function inkedPlaces({ data, width, height }: Pixels): Place[] {
  const places: Place[] = []
  // Some of each row are enough, and a full screen has a hundred thousand.
  const distance = Math.max(4, width >> 5)
  // Every third row: no letter is so flat that it falls through.
  for (let y = 1; y < height - 1; y += 3)
    for (let x = 4; x < width - 4; x++) {
      const at = y * width + x
      if (data[at] === data[at - 1] || !hasTwoColours(data, at, width)) continue
      places.push({ x, y })
      x += distance - 1
    }
  return places
}

function hasTwoColours(data: Uint32Array, at: number, width: number): boolean {
  const [one, other] = [data[at - 1]!, data[at]!]
  for (let row = at - width; row <= at + width; row += width)
    for (let near = row - 4; near < row + 4; near++) if (data[near] !== one && data[near] !== other) return false
  return true
}

/** Returns `count` elements, evenly spread over the list. */
function spread<T>(list: readonly T[], count: number): T[] {
  if (list.length <= count) return [...list]
  return Array.from({ length: count }, (_, i) => list[Math.floor(((i + 0.5) * list.length) / count)]!)
}
