/** Tells the waiting requests of this process that another one wants the output of a serial port. */
export class LogAsks {
  readonly #listeners = new Set<() => void>()

  subscribe(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  notify(): void {
    for (const listener of this.#listeners) listener()
  }
}
