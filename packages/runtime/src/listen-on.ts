/** Binds servers to addresses, with errors that an operator can act on. */
import type { AddressInfo, Server } from 'node:net'
import { variableName } from './config/environment.ts'
import { formatListen, type ListenAddress, parseListen } from './config/schemas.ts'
import type { ListenKey } from './config/shared-addresses.ts'

/** Thrown when an address cannot be bound. The message names the address, the reason and the remedy. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  /** The configured `host:port`. */
  readonly address: string
  /** Node's error code, such as `EADDRINUSE`. */
  readonly code: string

  constructor(address: string, cause: NodeJS.ErrnoException) {
    const code = cause.code ?? 'UNKNOWN'
    super(`cannot listen on ${address}: ${REASONS[code] ?? `${cause.message}; choose another address`}`, { cause })
    this.address = address
    this.code = code
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses this port; stop it, or configure another port (0 picks a free one)',
  EACCES: 'this user may not bind this port; choose one of 1024 or more, or grant CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'no network interface of this machine has this address; configure one that has, or 127.0.0.1',
  ENOTFOUND: 'this host name is not known; configure an IP address or a name that resolves',
  EAI_AGAIN: 'the name server did not answer; configure an IP address, or try later',
  EAFNOSUPPORT: 'this machine has no such address family (IPv6 may be off); configure an IPv4 address',
  ERR_SOCKET_BAD_PORT: 'the port is not valid; give one from 0 to 65535',
}

/**
 * Writes the message for a `ListenError`, with the key that the address comes from and a remedy to copy.
 * @param keys the program's listen keys
 * @param env names the npm script that started the program, if one did
 */
export function listenMessage(
  error: ListenError,
  keys: readonly ListenKey[],
  env: Readonly<Record<string, string | undefined>>,
): string {
  const key = keys.find(({ address }) => formatListen(parseListen(address)) === error.address)
  if (!key) return error.message
  if (error.code !== 'EADDRINUSE') return `${key.path}: ${error.message}`
  const variable = variableName(key.path.split(/[.[\]]+/).filter((step) => step !== ''))
  const setting = `${variable}=${formatListen({ ...parseListen(error.address), port: 0 })}`
  const remedy = env.npm_lifecycle_event === 'start' ? `try ${setting} npm start` : `set ${setting} for a free port`
  return `${key.path}: cannot listen on ${error.address}: another program uses this port; stop it, or ${remedy}`
}

/**
 * Starts a TCP, TLS or HTTP server on an address.
 * @returns the bound `host:port`; for port 0, with the port that the system picked.
 * @throws ListenError when the address cannot be bound.
 */
export async function listenOn(server: Server, address: ListenAddress): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const failed = (error: NodeJS.ErrnoException) => reject(new ListenError(formatListen(address), error))
  server.once('error', failed)
  try {
    server.listen({ host: address.host, port: address.port }, resolve)
    await promise
  } catch (error) {
    throw error instanceof ListenError ? error : new ListenError(formatListen(address), error as NodeJS.ErrnoException)
  } finally {
    server.off('error', failed)
  }
  return boundAddress(server)
}

/** The `host:port` that a listening server is bound to. */
export function boundAddress(server: Server): string {
  const { address, port } = server.address() as AddressInfo
  return formatListen({ host: address, port })
}
