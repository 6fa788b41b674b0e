/** The events of a screen until its end. */
import { ConnectionError, type OrielError } from '@oriel/sdk'
import type { Update } from '../rfb/client.ts'
import { Signal } from './signal.ts'

export class Life {
  readonly onUpdate = new Signal<Update>()
  /** Emits once, at the end, what a method throws afterwards. */
  readonly onEnd = new Signal<OrielError>()
  readonly #ended = Promise.withResolvers<OrielError | undefined>()
  #failure: OrielError | undefined
  #cause: OrielError | undefined

  /** What a method throws after the end. `undefined` before it. */
  get failure(): OrielError | undefined {
    return this.#failure
  }
  /** Why the screen ended by itself. `undefined` before its end, and after it was closed. */
  get cause(): OrielError | undefined {
    return this.#cause
  }
  /** Resolves at the end with {@link Life.cause}. */
  get ended(): Promise<OrielError | undefined> {
    return this.#ended.promise
  }

  /** Only the first call has an effect. */
  finish(cause: OrielError | undefined): void {
    if (this.#failure) return
    this.#cause = cause
    this.#failure = cause ?? new ConnectionError('network', 'The console is closed')
    this.#ended.resolve(cause)
    this.onEnd.emit(this.#failure)
  }
}
