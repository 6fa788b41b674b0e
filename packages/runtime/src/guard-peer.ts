/** Keeps data from a foreign peer from ending the process. */

/**
 * Wraps a synchronous handler of data from a peer: bytes, lines or messages. An exception in an event handler would be an
 * uncaught exception and end every other connection of the process too; the wrapped handler passes it to `fail` instead.
 * @param fail ends the connection of that one peer, so that the cause reaches the log; must not throw. It receives the arguments
 *   of the call as well, so that one wrapped handler can serve the peers of all connections
 */
export function guardPeer<Args extends readonly unknown[], Result>(
  handler: (...args: Args) => Result,
  fail: (cause: Error, ...args: Args) => Result,
): (...args: Args) => Result {
  return (...args) => {
    try {
      return handler(...args)
    } catch (thrown) {
      return fail(errorOf(thrown), ...args)
    }
  }
}

/** `String` of a value that a peer chose may throw itself: `{"toString":null}`, or an array nested too deep. */
const errorOf = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error('a handler threw a value that is not an Error')
