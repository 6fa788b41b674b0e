/** A true-colour picture, which notifies listeners of changed areas. */
import { glyph } from './font.ts'

/** A rectangle in pixels, its origin at the top left. */
export interface Rect {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** A colour as 0xRRGGBB. */
export type Colour = number

/** Returns the common part of two rectangles. Its width or height is 0 if they do not intersect. */
export function intersection(a: Rect, b: Rect): Rect {
  const [x, y] = [Math.max(a.x, b.x), Math.max(a.y, b.y)]
  const width = Math.max(0, Math.min(a.x + a.width, b.x + b.width) - x)
  const height = Math.max(0, Math.min(a.y + a.height, b.y + b.height) - y)
  return { x, y, width, height }
}

/** The smallest rectangle around both. */
export function union(a: Rect, b: Rect): Rect {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)]
  const right = Math.max(a.x + a.width, b.x + b.width)
  const bottom = Math.max(a.y + a.height, b.y + b.height)
  return { x, y, width: right - x, height: bottom - y }
}

/** Two layers: the guest's drawing, and the pointer's ink on top of it. */
export class Picture {
  readonly width: number
  readonly height: number
  readonly #ground: Uint32Array
  readonly #ink: Uint32Array
  readonly #listeners = new Set<(changed: Rect) => void>()

  constructor(width: number, height: number) {
    this.width = width
    this.height = height
    this.#ground = new Uint32Array(width * height)
    this.#ink = new Uint32Array(width * height)
  }

  get bounds(): Rect {
    return { x: 0, y: 0, width: this.width, height: this.height }
  }

  /** Calls `listener` for each change until the returned function is called. */
  onChange(listener: (changed: Rect) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Reports that `area` was redrawn. Drawing itself reports nothing, so that one change is reported once. */
  changed(area: Rect): void {
    const inside = intersection(area, this.bounds)
    if (inside.width > 0 && inside.height > 0) for (const listener of this.#listeners) listener(inside)
  }

  /** The colour that a viewer sees; the point must lie inside. */
  colourAt(x: number, y: number): Colour {
    const index = y * this.width + x
    return this.#ink[index]! === 0 ? this.#ground[index]! : this.#ink[index]! - 1
  }

  dot(x: number, y: number, colour: Colour): void {
    if (x >= 0 && y >= 0 && x < this.width && y < this.height) this.#ground[y * this.width + x] = colour
  }

  fill(area: Rect, colour: Colour): void {
    const { x, y, width, height } = intersection(area, this.bounds)
    for (let row = y; row < y + height; row++)
      this.#ground.fill(colour, row * this.width + x, row * this.width + x + width)
  }

  /** Writes one line of text with its top left corner at (x, y). A character advances by six dots times the scale. */
  text(x: number, y: number, words: string, colour: Colour, scale: 1 | 2 | 4 = 2): void {
    let left = x
    for (const character of words) {
      this.#stamp(left, y, character, colour, scale)
      left += 6 * scale
    }
  }

  /** Draws a line of ink, on top of the guest's drawing. */
  stroke(from: { x: number; y: number }, to: { x: number; y: number }, colour: Colour, radius = 3): void {
    const steps = Math.max(1, Math.abs(to.x - from.x), Math.abs(to.y - from.y))
    for (let step = 0; step <= steps; step++) {
      const share = step / steps
      this.#blot(
        Math.round(from.x + (to.x - from.x) * share),
        Math.round(from.y + (to.y - from.y) * share),
        colour,
        radius,
      )
    }
    const area = union(square(from, radius), square(to, radius))
    this.changed(area)
  }

  /** Removes all ink. */
  wipe(): void {
    this.#ink.fill(0)
    this.changed(this.bounds)
  }

  #stamp(x: number, y: number, character: string, colour: Colour, scale: 1 | 2 | 4): void {
    const { width, height, dots } = glyph(character, scale)
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        if (dots[row * width + column]) this.dot(x + column, y + row, colour)
      }
    }
  }

  #blot(x: number, y: number, colour: Colour, radius: number): void {
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) {
        if (dx * dx + dy * dy <= radius * radius + 1) this.#inkAt(x + dx, y + dy, colour)
      }
    }
  }

  #inkAt(x: number, y: number, colour: Colour): void {
    // Zero means "no ink", so that black ink is possible.
    if (x >= 0 && y >= 0 && x < this.width && y < this.height) this.#ink[y * this.width + x] = colour + 1
  }
}

function square({ x, y }: { x: number; y: number }, radius: number): Rect {
  return { x: x - radius, y: y - radius, width: radius * 2 + 1, height: radius * 2 + 1 }
}
