/** Helpers for all connections to hypervisors: TCP options, and promises for their establishment and their end. */
import { once } from 'node:events'
import type { Socket } from 'node:net'

export const KEEP_ALIVE_MS = 30_000
export const tcpOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS } as const

/**
 * Waits for `event`, and destroys the socket if the wait fails.
 * @throws the socket's error; the signal's reason once it aborts
 */
export async function established(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
): Promise<void> {
  try {
    await once(socket, event, { signal })
  } catch (error) {
    // A TLS socket may emit a second error after the first, which would end the process.
    socket.on('error', () => {}).destroy()
    throw signal.aborted ? signal.reason : error
  }
}

/** Resolves when `socket` ends: with its error, or `undefined`. Its errors no longer end the process. */
export function endOf(socket: Socket): Promise<Error | undefined> {
  const { promise, resolve } = Promise.withResolvers<Error | undefined>()
  socket.once('error', resolve)
  socket.once('end', () => resolve(undefined))
  socket.once('close', () => resolve(undefined))
  return promise
}
