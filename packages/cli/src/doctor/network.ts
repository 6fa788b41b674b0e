/** Reaches an address step by step: its name, its port, its certificate. */
import { lookup } from 'node:dns/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Cloud } from '../cloud/sign-in.ts'
import { trustOf } from '../console/dial.ts'
import { expiryOf } from './certificate.ts'
import { type Destination, hostOf, isTls, nameAnd, portOf } from './destination.ts'
import type { Passed } from './examination.ts'
import { networkProblem } from './network-problem.ts'
import { Problem } from './problem.ts'

export interface Patience {
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Resolves the name and connects to the port. Returns the address that answered. @throws Problem */
export async function reachPort(to: Destination, patience: Patience): Promise<{ address: string; port: number }> {
  const [host, port] = [hostOf(to.url), portOf(to.url)]
  await resolve(host, to, patience)
  // By its name, so that Node tries all addresses.
  const socket = await connected(connectTcp({ host, port }), 'connect', to, patience)
  const { remoteAddress: address = host } = socket
  socket.destroy()
  return { address, port }
}

/**
 * Resolves the name, connects to the port and, for `https:` and `wss:`, checks the certificate with the CAs that consoles use.
 * @throws Problem
 */
export async function reach(to: Destination, cloud: Cloud, signal: AbortSignal): Promise<Passed<undefined>> {
  const patience = { timeoutMs: cloud.timeoutMs, signal }
  const { address, port } = await reachPort(to, patience)
  const found = `${nameAnd(hostOf(to.url), address)}, port ${port} is open`
  if (!isTls(to.url)) return { value: undefined, detail: found }
  const { detail, advice } = await checkCertificate(to, cloud, patience)
  return { value: undefined, detail: `${found}, ${detail}`, advice }
}

async function resolve(host: string, to: Destination, { timeoutMs, signal }: Patience): Promise<void> {
  if (isIP(host) !== 0) return
  const late = AbortSignal.any([AbortSignal.timeout(timeoutMs), signal])
  const aborted = new Promise<never>((_, reject) => late.addEventListener('abort', () => reject(late.reason)))
  try {
    await Promise.race([lookup(host), aborted])
  } catch (cause) {
    signal.throwIfAborted()
    const reason = late.aborted ? `did not resolve within ${timeoutMs / 1000} s` : 'does not resolve'
    const remedy = `Add ${host} to the DNS that this machine asks, or correct the name in ${to.setting}.`
    throw new Problem(`the name ${host} ${reason} on this machine`, { side: 'DNS', remedy }, { cause })
  }
}

async function checkCertificate(to: Destination, cloud: Cloud, patience: Patience) {
  const socket = await connectedOverTls(to, trustOf(cloud).ca, patience)
  try {
    return expiryOf(socket.getPeerCertificate(), to)
  } finally {
    socket.destroy()
  }
}

/** Connects over TLS, and verifies the certificate. @param ca the CAs to trust. Default: the platform's. @throws Problem */
export function connectedOverTls(to: Destination, ca: string[] | undefined, patience: Patience): Promise<TLSSocket> {
  const host = hostOf(to.url)
  // The extension server_name has no addresses (RFC 6066 section 3).
  const servername = isIP(host) === 0 ? { servername: host } : {}
  const trust = ca === undefined ? {} : { ca }
  return connected(connectTls({ host, port: portOf(to.url), ...servername, ...trust }), 'secureConnect', to, patience)
}

/** Resolves with the socket once it emitted `ready`. @throws Problem */
export function connected<S extends Socket>(
  socket: S,
  ready: 'connect' | 'secureConnect',
  to: Destination,
  { timeoutMs, signal }: Patience,
): Promise<S> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      socket.destroy()
      reject(signal.aborted ? signal.reason : networkProblem(error, to))
    }
    const abort = () => fail(signal.reason)
    const timer = setTimeout(() => fail(Object.assign(new Error(), { code: 'ETIMEDOUT', timeoutMs })), timeoutMs)
    socket.once('close', () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    })
    signal.addEventListener('abort', abort, { once: true })
    socket.on('error', fail).once(ready, () => {
      clearTimeout(timer)
      resolve(socket)
    })
  })
}
