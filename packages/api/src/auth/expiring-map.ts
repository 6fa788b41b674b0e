/** A map of bounded size whose entries expire. When full, it evicts the least recently used entry. */
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

  /** Does nothing if `untilMs` has passed already. */
  set(key: string, value: V, untilMs: number, nowMs: number): void {
    this.#entries.delete(key)
    if (untilMs <= nowMs) return
    this.#entries.set(key, { value, untilMs })
    if (this.#entries.size > this.#maxEntries) this.#entries.delete(this.#entries.keys().next().value!)
  }
}
