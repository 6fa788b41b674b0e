/** An event with listeners. */
export class Signal<T> {
  readonly #listeners = new Set<(value: T) => void>()

  /** Adds a listener, and returns a function that removes it. */
  add(listener: (value: T) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  emit(value: T): void {
    for (const listener of [...this.#listeners]) listener(value)
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0
  }
}
