/** Connects to the WebSocket of a console, with backpressure in both directions. */
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { rootCertificates } from 'node:tls'
import type { CreateWebSocket } from '@oriel/console'
import { socketAddress } from '@oriel/contract'
import type { Fetch } from '@oriel/sdk'
import { type CloseReason, closeReason, REFUSALS_SUBPROTOCOL } from '@oriel/sdk/close-reasons'
import { explainedFetch, trustingFetch } from '@oriel/sdk/node'
import { createWebSocketStream, WebSocket } from 'ws'
import type { Cloud } from '../cloud/sign-in.ts'
import { Failure } from '../failure.ts'

/** An open console. */
export interface Connection {
  /** The bytes of the console. It ends when the console closes. */
  readonly stream: Duplex
  /** Resolves when the console has closed, with the reason. */
  readonly closed: Promise<Closed>
  /** Closes the console as its user, and waits for the other side for a second. */
  close(): Promise<void>
}

/** The reason for which a console closed. */
export interface Closed {
  /** A sentence, with what to do. */
  readonly text: string
  /** Whether the machine or the client closed it without a fault. */
  readonly isNormal: boolean
}

/** How long the other side may take to answer a close frame. */
const CLOSE_TIMEOUT_MS = 1000
/** The body of a refusal is short. */
const MAX_REFUSAL_BYTES = 16_384

/**
 * Opens the console at an access URL.
 * @param again default: to run the command again
 * @throws Failure with the sentence of the proxy if it refuses the console, `timeout` if it does not answer in time
 */
export async function dial(accessUrl: string, cloud: Cloud, again: Again = runAgain): Promise<Connection> {
  const address = socketAddress(accessUrl)?.href
  if (address === undefined) throw new Failure('failed', 'The access URL of this console leads to no WebSocket.')
  const options = { handshakeTimeout: cloud.timeoutMs, perMessageDeflate: false, ...trustOf(cloud) }
  const socket = new WebSocket(address, ['binary', REFUSALS_SUBPROTOCOL], options)
  const closed = closeOf(socket, again)
  const stream = createWebSocketStream(socket, { readableHighWaterMark: 65_536 })
  // The reason is in `closed`.
  stream.on('error', () => {})
  await opened(socket, new URL(address).host)
  if (socket.protocol === REFUSALS_SUBPROTOCOL) throw new Failure('failed', (await closed).text)
  return { stream, closed, close: () => closeGently(socket, closed) }
}

/** Returns the certificates to trust at the console proxy, for the options of `ws`. */
export const trustOf = ({ caFile }: Cloud) =>
  caFile === undefined ? {} : { ca: [...rootCertificates, readFileSync(caFile, 'utf8')] }

/**
 * Returns the `fetch` for pages and files beside a console. Unlike that of the API it also trusts the usual CAs, as {@link dial}
 * does: a console proxy may have a public certificate.
 */
export function consoleFetch(cloud: Cloud): Fetch {
  const { ca } = trustOf(cloud)
  return explainedFetch(ca === undefined ? (url, init) => fetch(url, init) : trustingFetch({ ca: ca.join('\n') }))
}

/** Returns a function that creates the WebSockets of `@oriel/console`. */
export function webSocketOf(cloud: Cloud): CreateWebSocket {
  const options = { perMessageDeflate: false, ...trustOf(cloud) }
  return (address, protocols) => new WebSocket(address, protocols, options)
}

/** Returns the sentence that says how the user gets a new console. */
export type Again = () => string
const runAgain: Again = () => 'Run the command again.'

const closeOf = (socket: WebSocket, again: Again): Promise<Closed> =>
  new Promise((resolve) => socket.once('close', (code, reason) => resolve(meaningOf(code, `${reason}`, again))))

/** Interprets the code and the reason with which the other side closed a console. */
export function meaningOf(code: number, reason: string, again: Again = runAgain): Closed {
  if (code === 1000) return { text: 'The machine closed the console.', isNormal: true }
  const meaning = closeReason(code, reason)
  if (meaning === undefined) return { text: `The connection to the console broke. ${again()}`, isNormal: false }
  return { text: advised(meaning, again), isNormal: false }
}

/** Returns the sentence of a close reason, with what to do. */
export const advised = ({ text, remedy }: Pick<CloseReason, 'text' | 'remedy'>, again: Again = runAgain) =>
  remedy === 'none' ? text : `${text} ${again()}`

function opened(socket: WebSocket, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('unexpected-response', (_, response: IncomingMessage) => {
      refusalOf(response, host).then(reject)
      socket.on('error', () => {})
    })
    socket.once('error', (error) => reject(connectionFailure(error, host)))
  })
}

/** Reads the fault of a proxy that answers with a status: Nova's, or a reverse proxy in between. */
async function refusalOf(response: IncomingMessage, host: string): Promise<Failure> {
  const said = messageIn(await beginningOf(response)) ?? 'Is this the address of the console proxy?'
  return new Failure('failed', `${host} refused the console with status ${response.statusCode}. ${said}`)
}

/** Reads a body until its end, its limit or a second without a byte. */
async function beginningOf(response: IncomingMessage): Promise<string> {
  response.setTimeout(CLOSE_TIMEOUT_MS, () => response.destroy())
  let body = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      body += chunk
      if (body.length > MAX_REFUSAL_BYTES) break
    }
  } catch {
    // The status says enough.
  }
  return body
}

function messageIn(body: string): string | undefined {
  try {
    const [fault] = Object.values(JSON.parse(body) as Record<string, { readonly message?: unknown }>)
    return typeof fault?.message === 'string' ? fault.message : undefined
  } catch {
    return undefined
  }
}

function connectionFailure(error: Error, host: string): Failure {
  if (/handshake has timed out/.test(error.message)) {
    return new Failure('timeout', `The console proxy ${host} did not answer in time. Try again, or raise --timeout.`)
  }
  const advice = /certificate/i.test(error.message)
    ? ' Name its certificate authority with OS_CACERT or NODE_EXTRA_CA_CERTS.'
    : ' Can this machine reach that address?'
  const cause = error.message || ((error as NodeJS.ErrnoException).code ?? 'unknown')
  return new Failure('failed', `The console proxy ${host} cannot be reached: ${cause}.${advice}`, { cause: error })
}

async function closeGently(socket: WebSocket, closed: Promise<Closed>): Promise<void> {
  const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS)
  socket.resume()
  socket.close(1000)
  await closed
  clearTimeout(timer)
}
