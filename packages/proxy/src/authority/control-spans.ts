/**
 * The spans during which sessions had control that are not in the authority's audit trail yet: each once when it starts, and
 * once more, with its end, when it ends.
 */
import type { ExtensionBody } from '@oriel/contract'

/** A span in the contract's form. Without `until` it is still going on. */
export type ControlSpan = NonNullable<ExtensionBody<'beat'>['control']>[number]

export interface ControlSpansOptions {
  /** The maximum number of unacknowledged spans; the oldest are dropped first. Default: 100,000. */
  readonly max?: number
  /** The maximum number of spans in one report. Default: 10,000, the contract's limit. */
  readonly maxAtOnce?: number
}

const MAX = 100_000
const MAX_AT_ONCE = 10_000

export class ControlSpans {
  /** The oldest first. */
  readonly #pending = new Set<ControlSpan>()
  readonly #options: ControlSpansOptions

  constructor(options: ControlSpansOptions = {}) {
    this.#options = options
  }

  start(id: string): ControlSpan {
    return this.#add({ id, since: new Date().toISOString() })
  }

  /** Ends a span. If its start is still to be reported, only its end will be, which has both times. */
  end(span: ControlSpan, at: Date): void {
    this.#pending.delete(span)
    this.#add({ ...span, until: at.toISOString() })
  }

  report(): ControlSpan[] {
    return [...this.#pending].slice(0, this.#options.maxAtOnce ?? MAX_AT_ONCE)
  }

  /** Removes spans that the authority has received, unless they have ended meanwhile. */
  acknowledge(reported: readonly ControlSpan[]): void {
    for (const span of reported) this.#pending.delete(span)
  }

  /** Removes all: the authority has no audit trail for them. */
  clear(): void {
    this.#pending.clear()
  }

  #add(span: ControlSpan): ControlSpan {
    this.#pending.add(span)
    const [oldest] = this.#pending
    if (this.#pending.size > (this.#options.max ?? MAX)) this.#pending.delete(oldest!)
    return span
  }
}
