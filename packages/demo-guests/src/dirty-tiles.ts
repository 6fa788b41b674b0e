/** Tracks the parts of a picture that one viewer has not seen yet, in tiles, so that memory is bounded. */
import { intersection, type Rect } from './picture.ts'

const tileSize = 16

export class DirtyTiles {
  readonly #columns: number
  readonly #rows: number
  readonly #bounds: Rect
  readonly #dirty: Uint8Array

  constructor(bounds: Rect) {
    this.#bounds = bounds
    this.#columns = Math.ceil(bounds.width / tileSize)
    this.#rows = Math.ceil(bounds.height / tileSize)
    this.#dirty = new Uint8Array(this.#columns * this.#rows)
  }

  mark(area: Rect): void {
    this.#eachTile(area, (index) => {
      this.#dirty[index] = 1
    })
  }

  /** Removes the tiles that are completely inside `area`, which the viewer is about to get. */
  seen(area: Rect): void {
    this.#eachTile(area, (index, tile) => {
      const { width, height } = intersection(tile, area)
      if (width === tile.width && height === tile.height) this.#dirty[index] = 0
    })
  }

  /** Removes and returns the dirty tiles that intersect `area`, joined to few rectangles. */
  take(area: Rect): Rect[] {
    const taken: Rect[] = []
    this.#eachTile(area, (index, tile) => {
      if (!this.#dirty[index]) return
      this.#dirty[index] = 0
      const last = taken.at(-1)
      const adjoins = last && last.y === tile.y && last.x + last.width === tile.x
      if (adjoins) taken[taken.length - 1] = { ...last, width: last.width + tile.width }
      else taken.push(tile)
    })
    return stacked(taken)
  }

  #eachTile(area: Rect, visit: (index: number, tile: Rect) => void): void {
    const { x, y, width, height } = intersection(area, this.#bounds)
    if (width === 0 || height === 0) return
    for (let row = Math.floor(y / tileSize); row <= Math.floor((y + height - 1) / tileSize); row++) {
      for (let column = Math.floor(x / tileSize); column <= Math.floor((x + width - 1) / tileSize); column++) {
        visit(row * this.#columns + column, this.#tile(column, row))
      }
    }
  }

  #tile(column: number, row: number): Rect {
    const whole = { x: column * tileSize, y: row * tileSize, width: tileSize, height: tileSize }
    return intersection(whole, this.#bounds)
  }
}

/** Joins rectangles of the same horizontal span that are directly below each other. */
function stacked(bands: readonly Rect[]): Rect[] {
  const joined: Rect[] = []
  for (const band of bands) {
    const above = joined.findIndex(
      ({ x, y, width, height }) => x === band.x && width === band.width && y + height === band.y,
    )
    if (above < 0) joined.push(band)
    else joined[above] = { ...joined[above]!, height: joined[above]!.height + band.height }
  }
  return joined
}
