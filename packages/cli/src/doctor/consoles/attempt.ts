/** One WebSocket of a check, whose answer is kept in full: its status, its subprotocol, its close reason. */
import type { IncomingMessage } from 'node:http'
import type { CreateWebSocket } from '@oriel/console'
import { type CloseReason, closeReason, REFUSALS_SUBPROTOCOL } from '@oriel/sdk/close-reasons'
import { WebSocket } from 'ws'
import type { Cloud } from '../../cloud/sign-in.ts'
import { trustOf } from '../../console/dial.ts'

/** The answer to an Upgrade. */
export type Answer =
  | { readonly kind: 'open' }
  /** Oriel's proxy refused the console by a close reason. */
  | { readonly kind: 'refused'; readonly reason: CloseReason }
  /** A server answered without an Upgrade. */
  | { readonly kind: 'status'; readonly status: number; readonly body: string }
  | { readonly kind: 'error'; readonly error: Error }

/** The end of a WebSocket. */
export interface End {
  readonly code: number
  readonly reason: string
}

const MAX_BODY_CHARS = 16_384
/** How long the other side may take to answer a close frame. */
const CLOSE_TIMEOUT_MS = 1_000

export class Attempt {
  readonly #cloud: Cloud
  readonly #origin: string | undefined
  readonly #answer = Promise.withResolvers<Answer>()
  readonly #ended = Promise.withResolvers<End>()
  #socket: WebSocket | undefined

  /** @param origin the Origin of a browser's page. Default: none, as of programs */
  constructor(cloud: Cloud, origin: string | undefined) {
    this.#cloud = cloud
    this.#origin = origin
  }

  /** Resolves with the answer to the Upgrade. */
  get answer(): Promise<Answer> {
    return this.#answer.promise
  }

  /** Resolves once the WebSocket has closed. */
  get ended(): Promise<End> {
    return this.#ended.promise
  }

  /** Dials. Call it once, directly or by `@oriel/console`. */
  readonly dial = (address: string, protocols: string[] = ['binary', REFUSALS_SUBPROTOCOL]): WebSocket => {
    const origin = this.#origin === undefined ? {} : { origin: this.#origin }
    const options = {
      handshakeTimeout: this.#cloud.timeoutMs,
      perMessageDeflate: false,
      ...origin,
      ...trustOf(this.#cloud),
    }
    const socket = new WebSocket(address, protocols, options)
    this.#socket = socket
    this.#watch(socket)
    return socket
  }

  /** Dials for `@oriel/console`, like {@link Attempt.dial}. */
  readonly webSocket: CreateWebSocket = (address, protocols) => this.dial(address, protocols)

  /** Drops all that the client would send from now on. An RFB server then sends no more pictures. */
  quiet(): void {
    if (this.#socket !== undefined) this.#socket.send = () => {}
  }

  /** Whether the other side answers a ping before the deadline. */
  async isAlive(signal: AbortSignal): Promise<boolean> {
    const pong = new Promise<true>((resolve) => this.#socket?.once('pong', () => resolve(true)))
    this.#socket?.ping()
    return Promise.race([pong, this.ended.then(() => false), elapsed(this.#cloud.timeoutMs, signal).then(() => false)])
  }

  /** Closes the console as its user, and waits for the other side for a second. */
  async close(): Promise<void> {
    const socket = this.#socket
    if (socket === undefined || socket.readyState === WebSocket.CLOSED) return
    const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS)
    socket.close(1000)
    await this.ended
    clearTimeout(timer)
  }

  #watch(socket: WebSocket): void {
    const { resolve } = this.#answer
    socket.once('open', () => socket.protocol !== REFUSALS_SUBPROTOCOL && resolve({ kind: 'open' }))
    socket.once('unexpected-response', (_, response: IncomingMessage) => {
      beginningOf(response, this.#cloud.timeoutMs).then((body) => {
        resolve({ kind: 'status', status: response.statusCode!, body })
        socket.terminate()
      })
    })
    socket.on('error', (error) => resolve({ kind: 'error', error }))
    socket.once('close', (code, reason) => {
      const end = { code, reason: reason.toString() }
      const refused = closeReason(code, end.reason)
      if (refused !== undefined) resolve({ kind: 'refused', reason: refused })
      else resolve({ kind: 'error', error: new Error(`it closed with ${code}`) })
      this.#ended.resolve(end)
    })
  }
}

async function beginningOf(response: IncomingMessage, timeoutMs: number): Promise<string> {
  response.setTimeout(timeoutMs, () => response.destroy())
  let body = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      body += chunk
      if (body.length > MAX_BODY_CHARS) break
    }
  } catch {
    // The status alone explains the answer; its body is optional.
  }
  return body
}

/** Resolves after `ms`, or with `undefined` at once when the signal aborts. */
export function elapsed(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
