/**
 * Explains why the WebSocket of a console closed, or why the proxy did not open it, for clients that dial a console's address
 * themselves. A separate entry point, so that clients of the API need not bundle it.
 */
export {
  type CloseReason,
  closeReason,
  REFUSALS_SUBPROTOCOL,
  type RefusalName,
  type Remedy,
} from '@oriel/contract'
