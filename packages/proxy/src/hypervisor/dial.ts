/** Dials the console of an instance, only ever at the host and port that the authority named. */
import { connect, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { deadline } from '@oriel/runtime'
import { Refused } from '../refused.ts'
import type { HypervisorAddress, PlainLeg } from './leg.ts'
import { checkIdentity, type ExpectedIdentity, serverName } from './server-certificate.ts'
import { established, KEEP_ALIVE_MS, tcpOptions } from './socket.ts'
import { connectHypervisor } from './tcp-leg.ts'

/** How a connection is protected that begins with TLS. */
export interface DialTls extends ExpectedIdentity {
  /** The hypervisors' CA, PEM. Default: the CAs of Node. */
  readonly ca?: string | undefined
}

/**
 * Connects to the hypervisor within `timeoutMs`.
 * @param readLimit the current limit on the size of a read. Default: the limit of `ReadBuffers`
 * @throws Refused `console_timeout` or `console_unreachable`; the signal's reason once it aborts
 */
export function dial(
  address: HypervisorAddress,
  timeoutMs: number,
  signal: AbortSignal,
  readLimit?: () => number,
): Promise<PlainLeg> {
  const connecting = (limited: AbortSignal) => connectHypervisor(address, limited, readLimit)
  return within(timeoutMs, signal, connecting, unreachable)
}

/**
 * Connects a socket that the caller reads by itself, with TLS from the first byte if `tls` is given.
 * @throws Refused `console_timeout`, `console_unreachable` or `security_failed`; the signal's reason once it aborts
 */
export function dialSocket(
  address: HypervisorAddress,
  tls: DialTls | undefined,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const connecting = async (limited: AbortSignal) => {
    const socket = tls ? openTls(address, tls) : openTcp(address)
    await established(socket, tls ? 'secureConnect' : 'connect', limited)
    return socket
  }
  return within(timeoutMs, signal, connecting, (cause) => (isNetworkError(cause) ? unreachable : insecure)(cause))
}

async function within<T>(
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
    throw refusalOf(cause as NodeJS.ErrnoException)
  }
}

const openTcp = ({ host, port }: HypervisorAddress): Socket => connect({ host, port, ...tcpOptions })

function openTls({ host, port }: HypervisorAddress, tls: DialTls): Socket {
  const socket = tlsConnect({
    host,
    port,
    // An intermediate CA is trusted without its root, because the operator configured it.
    ...(tls.ca === undefined ? {} : { ca: tls.ca, allowPartialTrustChain: true }),
    servername: serverName(host, tls.hosts),
    minVersion: 'TLSv1.2',
    // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED would change the default.
    rejectUnauthorized: true,
    checkServerIdentity: (_, certificate) => checkIdentity(host, certificate, tls),
  })
  // `tls.connect` does not take these options in every version of Node.
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
])

const isNetworkError = ({ code = '' }: NodeJS.ErrnoException) => networkErrors.has(code)

const unreachable = (cause: NodeJS.ErrnoException) =>
  new Refused('console_unreachable', `no connection: ${cause.code ?? cause.message}`, { cause })

const insecure = (cause: NodeJS.ErrnoException) =>
  new Refused('security_failed', `no connection: ${cause.message}`, { cause })
