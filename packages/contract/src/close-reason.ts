/** The meaning of a close event, for pages and programs. */
import type { RefusalName, Remedy } from './remedies.ts'

/** The meaning of a WebSocket's close event. */
export interface CloseReason {
  /** WebSocket close code: RFC 6455 section 7.4.1, or 4000–4999 for Oriel's own. */
  readonly code: number
  /** A sentence for people, of at most 123 bytes in UTF-8, the limit of a close frame. */
  readonly text: string
  readonly remedy: Remedy
  /** The refusal's name, if the console was not opened. Only clients that offer `oriel.refusals` get these. */
  readonly refusal?: RefusalName
  /** Seconds to wait before opening the same address again, if the proxy sent them. */
  readonly retryAfterSeconds?: number
  /** For `foreign_origin`: the client's origin, to add to the proxy's `origin.allowed`. */
  readonly allow?: string
  /** For `in_use`: the label of the session that has the console, if it has one. Show it as text, never as markup. */
  readonly by?: string
  /** For `in_use`: the refused session only watches, so that it cannot take the console over. */
  readonly watches?: true
}
