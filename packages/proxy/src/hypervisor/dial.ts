/** Dials the console of an instance, only ever at the address that the authority named. */
import { connect, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { deadline } from '@oriel/runtime'
import { Refused } from '../refused.ts'
import type { HypervisorAddress, PlainLeg } from './leg.ts'
import { checkIdentity, type ExpectedIdentity, serverName } from './server-certificate.ts'
import { endpointOf, established, KEEP_ALIVE_MS, tcpOptions } from './socket.ts'
import { connectHypervisor } from './tcp-leg.ts'

/** The TLS settings of a connection that begins with a TLS handshake. */
export interface DialTls extends ExpectedIdentity {
  /** The hypervisors' CA, PEM. Default: the CAs of Node. */
  readonly ca?: string | undefined
}

/**
 * Connects to the hypervisor within `timeoutMs`.
 * @param readLimit returns the limit of the next read, in bytes; called before each read. Default: the limit of `ReadBuffers`
 * @throws Refused `console_timeout` or `console_unreachable`; the signal's reason once it aborts
 */
export function dial(
  address: HypervisorAddress,
  timeoutMs: number,
  signal: AbortSignal,
  readLimit?: () => number,
): Promise<PlainLeg> {
  const connecting = (limited: AbortSignal) => connectHypervisor(address, limited, readLimit)
  return connectWithin(timeoutMs, signal, connecting, unreachableRefusal)
}

/**
 * Connects as `dial` does, but returns the socket itself, with TLS from the first byte if `tls` is given.
 * @throws Refused `console_timeout`, `console_unreachable` or `security_failed`; the signal's reason once it aborts
 */
export function dialSocket(
  address: HypervisorAddress,
  tls: DialTls | undefined,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const connecting = async (limited: AbortSignal) => {
    await using endpoint = await endpointOf(address, limited)
    const socket = tls ? openTls(address, tls) : connect({ ...endpoint.options, ...tcpOptions })
    await established(socket, tls ? 'secureConnect' : 'connect', limited)
    return socket
  }
  return connectWithin(timeoutMs, signal, connecting, (cause) =>
    (isNetworkError(cause) ? unreachableRefusal : tlsRefusal)(cause),
  )
}

async function connectWithin<T>(
  timeoutMs: number,
  signal: AbortSignal,
  connecting: (limited: AbortSignal) => Promise<T>,
  refusalOf: (cause: NodeJS.ErrnoException) => Refused,
): Promise<T> {
  using limit = deadline(timeoutMs, signal)
  try {
    return await connecting(limit.signal)
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    if (limit.passed) throw new Refused('console_timeout', `no connection within ${timeoutMs} ms`, { cause })
    throw cause instanceof Refused ? cause : refusalOf(cause as NodeJS.ErrnoException)
  }
}

function openTls({ host, port }: HypervisorAddress, tls: DialTls): Socket {
  const socket = tlsConnect({
    host,
    port,
    // `ca` may hold an intermediate CA without its root.
    ...(tls.ca === undefined ? {} : { ca: tls.ca, allowPartialTrustChain: true }),
    servername: serverName(host, tls.hosts),
    minVersion: 'TLSv1.2',
    // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED would change the default.
    rejectUnauthorized: true,
    checkServerIdentity: (_, certificate) => checkIdentity(host, certificate, tls),
  })
  // `tls.connect` ignores `noDelay` and `keepAlive` in some versions of Node.
  return socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
}

const networkErrors = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EPIPE',
  'ENOENT',
  'EACCES',
])

const isNetworkError = ({ code = '' }: NodeJS.ErrnoException) => networkErrors.has(code)

const unreachableRefusal = (cause: NodeJS.ErrnoException) => {
  const { code = cause.message } = cause
  const hint = socketHints[code]
  return new Refused('console_unreachable', `no connection: ${code}${hint === undefined ? '' : `: ${hint}`}`, { cause })
}

/** Errors that only Unix sockets have. */
const socketHints: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such Unix socket on this host',
  EACCES: "the proxy's user may not write to the Unix socket, or not search its folders",
}

const tlsRefusal = (cause: NodeJS.ErrnoException) =>
  new Refused('security_failed', `TLS with the hypervisor failed: ${cause.message}`, { cause })
