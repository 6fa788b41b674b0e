/** A close event, as pages and programs read it. */
import type { RefusalName, Remedy } from './remedies.ts'

/** What a WebSocket's close event means. */
export interface CloseReason {
  /** WebSocket close code: RFC 6455 section 7.4.1, or 4000–4999 for Oriel's own. */
  readonly code: number
  /** For people; at most 123 bytes of UTF-8, since it travels in the close frame. */
  readonly text: string
  readonly remedy: Remedy
  /** The refusal's name, for a console that was not opened; only clients that offer `oriel.refusals` get these. */
  readonly refusal?: RefusalName
  /** Seconds to wait before the same address is opened again, if the proxy sent them. */
  readonly retryAfterSeconds?: number
  /** For `foreign_origin`: the client's origin, to be added to the proxy's `origin.allowed`. */
  readonly allow?: string
}
