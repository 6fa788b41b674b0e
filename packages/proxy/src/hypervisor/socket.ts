/** Helpers for all connections to hypervisors: options, and promises for their establishment and their end. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { within } from '@oriel/runtime'
import type { HypervisorAddress } from './leg.ts'
import type { FoundSocket, UnixSocket } from './unix-socket.ts'

export const KEEP_ALIVE_MS = 30_000
export const tcpOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS } as const

/** The options of `net.connect` for an address. Disposal releases a Unix socket's path, once the connection is established. */
export interface Endpoint extends AsyncDisposable {
  readonly options: { readonly host: string; readonly port: number } | { readonly path: string }
}

/** @throws Refused for a Unix socket that is not listed; the error of the file system; the signal's reason once it aborts */
export async function endpointOf({ host, port, socket }: HypervisorAddress, signal: AbortSignal): Promise<Endpoint> {
  if (!socket) return { options: { host, port }, [Symbol.asyncDispose]: async () => {} }
  const found = await findWithin(socket, signal)
  return { options: { path: found.path }, [Symbol.asyncDispose]: () => found[Symbol.asyncDispose]() }
}

/** Releases a socket that is found too late: a file system may hang. */
async function findWithin(socket: UnixSocket, signal: AbortSignal): Promise<FoundSocket> {
  const finding = socket.find()
  try {
    return await within(signal, finding)
  } catch (error) {
    finding.then((found) => found[Symbol.asyncDispose]()).catch(() => {})
    throw error
  }
}

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
  return new Promise((resolve) => {
    const ended = () => resolve(undefined)
    // Not `once`, whose wrappers would stay as long as the socket is open: a promise ignores what follows the first result.
    socket.on('error', resolve).on('end', ended).on('close', ended)
  })
}
