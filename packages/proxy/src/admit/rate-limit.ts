/** A rate limit per address: a token bucket for each, refilled continuously. */

export interface RateLimitOptions {
  /** The size of the bucket, and the number of requests that it regains per minute. */
  readonly perMinute: number
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: () => number
}

const MAX_ADDRESSES = 10_000
const MINUTE_MS = 60_000

export class RateLimit {
  readonly #perMinute: number
  readonly #now: () => number
  readonly #buckets = new Map<string, { left: number; atMs: number }>()

  constructor({ perMinute, now = () => performance.now() }: RateLimitOptions) {
    this.#perMinute = perMinute
    this.#now = now
  }

  /** Seconds until the next request is allowed, or `undefined` if one is allowed now. */
  wait(address: string): { readonly retryAfterSeconds: number } | undefined {
    const left = this.#left(address)
    if (left >= 1) return undefined
    return { retryAfterSeconds: Math.ceil(((1 - left) * MINUTE_MS) / this.#perMinute / 1000) }
  }

  /** Counts a request. Returns `undefined` if it is allowed, else the seconds until the next one is. */
  take(address: string): { readonly retryAfterSeconds: number } | undefined {
    const full = this.wait(address)
    if (full) return full
    const left = this.#left(address)
    // Deleted first, so that the map stays in the order of use.
    this.#buckets.delete(address)
    this.#buckets.set(address, { left: left - 1, atMs: this.#now() })
    if (this.#buckets.size > MAX_ADDRESSES) this.#buckets.delete(this.#buckets.keys().next().value!)
    return undefined
  }

  /** Refunds one request that does not count after all. */
  giveBack(address: string): void {
    const bucket = this.#buckets.get(address)
    if (bucket) bucket.left = Math.min(this.#perMinute, bucket.left + 1)
  }

  #left(address: string): number {
    const bucket = this.#buckets.get(address)
    if (!bucket) return this.#perMinute
    return Math.min(this.#perMinute, bucket.left + ((this.#now() - bucket.atMs) * this.#perMinute) / MINUTE_MS)
  }
}
