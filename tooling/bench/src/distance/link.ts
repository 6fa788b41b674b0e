/** One direction of an emulated link: a bottleneck of a fixed rate with a bounded queue before it, then a fixed delay. */

/** The largest payload of a TCP segment in an Ethernet frame. */
export const SEGMENT_BYTES = 1448

export interface LinkOptions {
  readonly delayMs: number
  /** Bits per second. `Infinity`: no bottleneck. */
  readonly rate: number
  /** How many bytes may wait for the bottleneck. The sender pauses while more do. */
  readonly queueBytes: number
}

/** Computes when bytes arrive. All times are milliseconds on one monotonic clock. */
export class Link {
  readonly #options: LinkOptions
  #freeAtMs = 0

  constructor(options: LinkOptions) {
    this.#options = options
  }

  /** Sends `bytes` at `nowMs`, and returns when the last one arrives. Packets arrive in the order of the calls. */
  arrivalMs(bytes: number, nowMs: number): number {
    const { rate, delayMs } = this.#options
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + (bytes * 8 * 1000) / rate
    return this.#freeAtMs + delayMs
  }

  /** Returns after how many milliseconds the queue has room again; 0 if it has room now. */
  fullForMs(nowMs: number): number {
    const { rate, queueBytes } = this.#options
    return Math.max(0, this.#freeAtMs - nowMs - (queueBytes * 8 * 1000) / rate)
  }
}
