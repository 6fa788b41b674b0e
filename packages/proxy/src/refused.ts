/** Thrown to refuse a connect before 101: with a catalogue entry for the client and an exact cause for the log. */
import type { RefusalName } from '@oriel/contract'

export class Refused extends Error {
  override readonly name = 'Refused'
  readonly refusal: RefusalName
  /** HTTP headers that the refusal carries besides the usual ones. */
  readonly headers: Readonly<Record<string, string>>
  /** The origin to add to `origin.allowed` so that the request is admitted. */
  readonly allow: string | undefined
  /** The label of the session in the way, of a refusal `in_use`. */
  readonly by: string | undefined

  /**
   * @param refusal the catalogue entry whose status and text the client gets
   * @param detail the exact cause, for the log; it may name addresses, never a token
   */
  constructor(refusal: RefusalName, detail: string, options: RefusedOptions = {}) {
    super(detail, 'cause' in options ? { cause: options.cause } : undefined)
    this.refusal = refusal
    this.headers = options.headers ?? {}
    this.allow = options.allow
    this.by = options.by
  }
}

export interface RefusedOptions {
  readonly cause?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly allow?: string
  readonly by?: string | undefined
}
