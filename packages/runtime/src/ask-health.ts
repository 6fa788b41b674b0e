/** `--health`: asks the running program's own listener whether the process lives. */
import { Agent, type IncomingMessage, request } from 'node:http'
import { formatListen, type ListenAddress, parseListen } from './config/schemas.ts'
import type { ListenKey } from './config/shared-addresses.ts'
import { deadline } from './deadline.ts'

/** The listener that serves `/healthz`. Without `address`, it is not configured. */
export type HealthListener = Pick<ListenKey, 'path'> & { readonly address: string | undefined }

/** Thrown when the program is not healthy, or cannot be asked. The message names the key and says what to do. */
export class Unhealthy extends Error {
  override readonly name = 'Unhealthy'
}

/** Shorter than the time-out of a container's health check, so that the reason is printed before the check is killed. */
const DEADLINE_MS = 4_000
/** Both listeners answer a few bytes. More is the answer of another program. */
const MAX_BODY_CHARACTERS = 1_024

/**
 * Asks `GET /healthz`, which depends on nothing but the process: a container that restarted whenever Nova or a database is
 * away would end every open console.
 * @returns the address that answered
 * @throws Unhealthy when it does not answer as Oriel does within `deadlineMs`, default 4000
 */
export async function askHealth(listener: HealthListener, deadlineMs = DEADLINE_MS): Promise<string> {
  const target = loopbackOf(addressOf(listener))
  const address = formatListen(target)
  const answer = await answerOf(target, deadlineMs)
  if (isOk(answer)) return address
  const reason = answer instanceof Error ? reasonOf(answer, address, deadlineMs) : foreign(answer, address)
  throw new Unhealthy(`${listener.path}: ${reason}`)
}

function addressOf({ path, address }: HealthListener): ListenAddress {
  if (address === undefined) throw new Unhealthy(`${path}: missing: --health asks this listener, so configure it`)
  const parsed = parseListen(address)
  if (parsed.port !== 0) return parsed
  throw new Unhealthy(
    `${path}: port 0 is a different port at each start: give a fixed port, so that --health can ask it`,
  )
}

/** A listener on all addresses is asked on loopback. */
function loopbackOf({ host, port }: ListenAddress): ListenAddress {
  if (/^0+(\.0+){0,3}$/.test(host)) return { host: '127.0.0.1', port }
  return { host: /^[0:]+$/.test(host) ? '::1' : host, port }
}

interface Answer {
  readonly status: number
  readonly body: string
}

async function answerOf(target: ListenAddress, deadlineMs: number): Promise<Answer | Error> {
  using limit = deadline(deadlineMs)
  try {
    return await get(target, limit.signal)
  } catch (error) {
    return limit.passed ? (limit.signal.reason as Error) : (error as Error)
  }
}

async function get({ host, port }: ListenAddress, signal: AbortSignal): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  // An agent of its own: the global one may lead through the proxy that NODE_USE_ENV_PROXY names.
  request({ host, port, path: '/healthz', agent: new Agent(), signal }, resolve).on('error', reject).end()
  const response = await promise
  let body = ''
  for await (const text of response.setEncoding('utf8')) {
    body += text
    if (body.length > MAX_BODY_CHARACTERS) break
  }
  return { status: response.statusCode!, body }
}

function isOk(answer: Answer | Error): boolean {
  if (answer instanceof Error || answer.status !== 200) return false
  try {
    return JSON.parse(answer.body)?.status === 'ok'
  } catch {
    return false
  }
}

const foreign = ({ status }: Answer, address: string) =>
  `${address} answers GET /healthz with ${status} and without Oriel's text: another program uses this port`

function reasonOf(error: Error & { readonly code?: string }, address: string, deadlineMs: number): string {
  if (error.name === 'TimeoutError') return `${address} has not answered within ${deadlineMs} ms`
  if (error.code === 'ECONNREFUSED')
    return `nothing listens on ${address}: the program is stopped, starting or stopping`
  return `${address} does not answer: ${error.message}`
}
