/** A page's presence WebSocket, for tests. */
import { once } from 'node:events'
import type { PresenceMessage, PresenceRequest, PresenceState } from '@oriel/contract'
import { defaultTimeoutMs, within } from '@oriel/testkit'
import { WebSocket } from 'ws'
import type { Client, DialOptions } from '../fixture.ts'

export const PATH = '/oriel.session'

export interface PageClient extends Disposable {
  readonly ws: WebSocket
  readonly states: PresenceState[]
  /** Returns the first state, from the newest one on, that `fits`. */
  state(fits: (state: PresenceState) => boolean): Promise<PresenceState>
  /** Sends a request and returns its refusal. */
  refusal(request: PresenceRequest | object): Promise<PresenceMessage>
  /** Sends a ping and resolves once it is answered. */
  ping(): Promise<void>
  /** Sends a request and returns the message of this type that follows. */
  answer<T extends PresenceMessage['type']>(
    type: T,
    request: PresenceRequest,
  ): Promise<Extract<PresenceMessage, { readonly type: T }>>
  readonly closed: Client['closed']
}

/** Opens the presence WebSocket of the console that was opened with `key`. */
export async function openPage(address: string, key: string, options: DialOptions = {}): Promise<PageClient> {
  const { path = PATH, ...more } = options
  const ws = new WebSocket(`ws://${address}${path}`, ['oriel.presence', `oriel.page.${key}`], more)
  const states: PresenceState[] = []
  const closed = new Promise<{ code: number; text: string }>((resolve) =>
    ws.on('close', (code, text) => resolve({ code, text: text.toString() })),
  )
  /** Resolves with the first message that `read` accepts. Several may arrive at once. */
  const next = <T>(read: (message: PresenceMessage) => T | undefined): Promise<T> => {
    const { promise, resolve } = Promise.withResolvers<T>()
    const listener = (data: Buffer) => {
      const found = read(JSON.parse(data.toString()) as PresenceMessage)
      if (found === undefined) return
      ws.off('message', listener)
      resolve(found)
    }
    ws.on('message', listener)
    return within(promise, defaultTimeoutMs, () => `no such message after ${JSON.stringify(states.at(-1))}`)
  }
  ws.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as PresenceMessage
    if (message.type === 'state') states.push(message)
  })
  // The first state may arrive together with the 101.
  ws.on('unexpected-response', (_, response) => ws.emit('error', new Error(`status ${response.statusCode}`)))
  await within(once(ws, 'open'), defaultTimeoutMs, () => 'the WebSocket did not open')
  ws.on('error', () => {})
  return {
    ws,
    states,
    state: async (fits) => {
      const newest = states.at(-1)
      if (newest && fits(newest)) return newest
      return next((message) => (message.type === 'state' && fits(message) ? message : undefined))
    },
    refusal: (request) => {
      const refusal = next((message) => (message.type === 'refused' ? message : undefined))
      ws.send(JSON.stringify(request))
      return refusal
    },
    ping: async () => {
      const pong = next((message) => (message.type === 'pong' ? message : undefined))
      ws.send('{"type":"ping"}')
      await pong
    },
    answer: <T extends PresenceMessage['type']>(type: T, request: PresenceRequest) => {
      type Answer = Extract<PresenceMessage, { readonly type: T }>
      const answer = next((message) => (message.type === type ? (message as Answer) : undefined))
      ws.send(JSON.stringify(request))
      return answer
    },
    closed: () => within(closed, defaultTimeoutMs, () => 'the WebSocket is still open'),
    [Symbol.dispose]: () => ws.terminate(),
  }
}
