/** The picture that a server has sent so far. */
import { ProtocolError } from '../errors.ts'
import type { Image, Rectangle } from './image.ts'

const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

/** Returns an opaque colour as one element of {@link Framebuffer.pixels}. */
export const colour: (red: number, green: number, blue: number) => number = isLittleEndian
  ? (red, green, blue) => (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0
  : (red, green, blue) => ((red << 24) | (green << 16) | (blue << 8) | 0xff) >>> 0

/** Reads three bytes, red, green and blue, as a colour. */
export const colourAt = (bytes: Uint8Array, at: number): number => colour(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!)

const BLACK = colour(0, 0, 0)

/** A picture that decoders draw into. They pass only rectangles that {@link Framebuffer.contains} has accepted. */
export class Framebuffer implements Image {
  #width = 0
  #height = 0
  #memory = new Uint32Array(0)
  #pixels = this.#memory
  readonly #maxPixels: number

  /** @param maxPixels the largest picture that is allocated, at 4 bytes per pixel */
  constructor(maxPixels: number) {
    this.#maxPixels = maxPixels
  }

  get width(): number {
    return this.#width
  }
  get height(): number {
    return this.#height
  }
  /** One element per pixel: a view of {@link Framebuffer.rgba}. */
  get pixels(): Uint32Array {
    return this.#pixels
  }
  get rgba(): Uint8Array {
    return new Uint8Array(this.#memory.buffer, 0, this.#pixels.byteLength)
  }

  /**
   * Takes another size, and becomes black. Keeps the memory of its largest size: a server that changes the size all the time
   * would otherwise fill the heap with pictures until the next collection.
   * @throws ProtocolError if that is larger than allowed
   */
  resize(width: number, height: number): void {
    if (width * height > this.#maxPixels) {
      throw new ProtocolError(`The screen has ${width}x${height} pixels, more than maxPixels (${this.#maxPixels})`)
    }
    this.#width = width
    this.#height = height
    if (width * height > this.#memory.length) this.#grow(width * height)
    this.#pixels = this.#memory.subarray(0, width * height).fill(BLACK)
  }

  /** Doubles, so that sizes that grow by one each time do not allocate each time. */
  #grow(pixels: number): void {
    const doubled = Math.min(2 * this.#memory.length, this.#maxPixels)
    this.#memory = new Uint32Array(Math.max(pixels, doubled))
  }

  contains({ x, y, width, height }: Rectangle): boolean {
    return x + width <= this.#width && y + height <= this.#height
  }

  fill({ x, y, width, height }: Rectangle, value: number): void {
    for (let row = y; row < y + height; row += 1) {
      const start = row * this.#width + x
      this.#pixels.fill(value, start, start + width)
    }
  }

  /** Sets pixels of one row from `count` colours of `bytesPerPixel` bytes, the first three of which are red, green, blue. */
  writeRow(x: number, y: number, count: number, bytes: Uint8Array, bytesPerPixel: 3 | 4): void {
    const start = y * this.#width + x
    for (let i = 0, at = 0; i < count; i += 1, at += bytesPerPixel) this.#pixels[start + i] = colourAt(bytes, at)
  }

  /** Copies the area at `fromX`, `fromY` to `to`. The two may overlap. */
  copy({ x, y, width, height }: Rectangle, fromX: number, fromY: number): void {
    const isDownwards = y > fromY
    for (let i = 0; i < height; i += 1) {
      const row = isDownwards ? height - 1 - i : i
      const from = (fromY + row) * this.#width + fromX
      this.#pixels.copyWithin((y + row) * this.#width + x, from, from + width)
    }
  }
}
