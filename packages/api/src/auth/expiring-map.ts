/** A map whose entries end by the clock, and which forgets the one unused for longest rather than grow. */
export class ExpiringMap<V> {
  readonly #entries = new Map<string, { value: V; untilMs: number }>()
  readonly #maxEntries: number

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries
  }

  get(key: string, nowMs: number): V | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    this.#entries.delete(key)
    if (entry.untilMs <= nowMs) return undefined
    this.#entries.set(key, entry)
    return entry.value
  }

  /** Keeps nothing when `untilMs` is past already. */
  set(key: string, value: V, untilMs: number, nowMs: number): void {
    this.#entries.delete(key)
    if (untilMs <= nowMs) return
    this.#entries.set(key, { value, untilMs })
    if (this.#entries.size > this.#maxEntries) this.#entries.delete(this.#entries.keys().next().value!)
  }
}
