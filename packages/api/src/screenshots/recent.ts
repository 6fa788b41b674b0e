/** Screenshots of the last two seconds, and those that are being taken. */

/** How long a screenshot is shown again. */
const FRESH_MS = 2000

/** Has concurrent and repeated requests for the same screen share one connection to it. */
export class RecentScreenshots<T> {
  readonly #shots = new Map<string, Promise<T>>()

  /** Returns the recent screenshot of `key`, or calls `take` for a new one. Failures are not kept. */
  get(key: string, take: () => Promise<T>): Promise<T> {
    const known = this.#shots.get(key)
    if (known) return known
    const shot = take()
    this.#shots.set(key, shot)
    const forget = () => void this.#shots.delete(key)
    shot.then(() => setTimeout(forget, FRESH_MS).unref(), forget)
    return shot
  }
}
