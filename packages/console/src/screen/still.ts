/** Finds out how long a picture has not changed. */
import type { Image } from './image.ts'
import { type Comparison, countDifferences } from './picture.ts'

/** A picture and since when it has been on the screen. */
export class Stillness {
  readonly #comparison: Comparison
  readonly #maxPixels: number
  #picture: Image
  #since = performance.now()

  /** @param maxPixels how many pixels may differ from the picture, such as those of a blinking cursor */
  constructor(picture: Image, maxPixels: number, comparison: Comparison) {
    this.#picture = copied(picture)
    this.#maxPixels = maxPixels
    this.#comparison = comparison
  }

  /** Compares the picture now on the screen. */
  look(picture: Image): void {
    if (countDifferences(this.#picture, picture, this.#maxPixels, this.#comparison) <= this.#maxPixels) return
    this.#picture = copied(picture)
    this.#since = performance.now()
  }

  /** Counts from now on. */
  restart(): void {
    this.#since = performance.now()
  }

  /** For how long the picture has been on the screen. */
  get quietMs(): number {
    return performance.now() - this.#since
  }
}

const copied = ({ width, height, rgba }: Image): Image => ({ width, height, rgba: rgba.slice() })
