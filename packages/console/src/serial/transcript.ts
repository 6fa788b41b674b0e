/** The output that no `expect` has consumed, and the waits for it. */
import { ExpectTimeout } from '../errors.ts'
import { find } from '../pattern.ts'
import { setTimer } from '../timer.ts'

/** What `expect` found. */
export interface Expected {
  /** The text that matched. */
  readonly text: string
  /** The output before it, back to the end of the previous match. */
  readonly before: string
  /** The groups of the regular expression, as of `RegExp.exec`. Empty for a string. */
  readonly groups: readonly (string | undefined)[]
}

interface Waiter {
  readonly pattern: RegExp | string
  readonly resolve: (found: Expected) => void
  readonly reject: (error: unknown) => void
}

export interface ExpectOptions {
  /** Milliseconds. Default: 30,000. `Infinity`: no limit. */
  readonly timeoutMs?: number | undefined
  /** Aborts the wait, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

const DEFAULT_TIMEOUT_MS = 30_000

export class Transcript {
  readonly #maxChars: number
  readonly #waiters: Waiter[] = []
  #text = ''
  #end: { readonly error: unknown } | undefined

  /** @param maxChars how much output is kept for `expect`; beyond it the oldest is forgotten */
  constructor(maxChars: number) {
    this.#maxChars = maxChars
  }

  get text(): string {
    return this.#text
  }

  push(text: string): void {
    if (text === '') return
    this.#text += text
    this.#settle()
    if (this.#text.length > this.#maxChars) this.#text = this.#text.slice(-this.#maxChars)
  }

  /** Rejects all present and later waits that the output does not fulfil. */
  end(error: unknown): void {
    this.#end ??= { error }
    for (const { reject } of this.#waiters.splice(0)) reject(error)
  }

  /** Waits for `pattern` in the output after the previous match. Waits are fulfilled in the order of the calls. */
  async expect(
    pattern: RegExp | string,
    { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: ExpectOptions = {},
  ): Promise<Expected> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<Expected>()
    const waiter = { pattern, resolve, reject }
    const timer = setTimer(timeoutMs, () => reject(new ExpectTimeout(pattern, timeoutMs, this.#text)))
    const abort = () => reject(signal?.reason)
    signal?.addEventListener('abort', abort)
    this.#waiters.push(waiter)
    this.#settle()
    if (this.#end) reject(this.#end.error)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      this.#forget(waiter)
    }
  }

  /** Fulfils the waits in their order, as far as the output goes. */
  #settle(): void {
    for (let waiter = this.#waiters[0]; waiter !== undefined; waiter = this.#waiters[0]) {
      const found = find(this.#text, waiter.pattern)
      if (found === undefined) return
      const { text, index, groups } = found
      const before = this.#text.slice(0, index)
      this.#text = this.#text.slice(index + text.length)
      this.#waiters.shift()
      waiter.resolve({ text, before, groups })
    }
  }

  #forget(waiter: Waiter): void {
    const index = this.#waiters.indexOf(waiter)
    if (index < 0) return
    this.#waiters.splice(index, 1)
    // The next wait stood behind this one.
    this.#settle()
  }
}
