/** The presence WebSocket of a session, as a page opens it beside its console. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { PresenceMessage, PresenceRequest, PresenceState } from '@oriel/contract'
import { WebSocket } from 'ws'

export interface Presence extends Disposable {
  send(request: PresenceRequest): void
  /** Sends a request, and returns the sentence with which the proxy refuses it. */
  refusalOf(request: PresenceRequest): Promise<string>
  /** Returns the first state, from the newest one on, that `fits`. */
  untilState(fits: (state: PresenceState) => boolean): Promise<PresenceState>
}

/** The subprotocols of a console whose page has this key. */
export const withPageKey = (key: string | undefined) => ['binary', ...(key === undefined ? [] : [`oriel.page.${key}`])]

export const newPageKey = () => randomBytes(16).toString('base64url')

/** Opens the presence of the session that was opened with this page key through the proxy at `port`. */
export async function openPresence(port: number, key: string): Promise<Presence> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/oriel.session`, ['oriel.presence', `oriel.page.${key}`])
  const messages: PresenceMessage[] = []
  socket.on('message', (data) => messages.push(JSON.parse(String(data))))
  await once(socket, 'open')
  const send = (request: PresenceRequest) => socket.send(JSON.stringify(request))
  async function until<M>(read: () => M | undefined): Promise<M> {
    for (let found = read(); ; found = read()) {
      if (found !== undefined) return found
      await once(socket, 'message')
    }
  }
  return {
    send,
    refusalOf(request) {
      const earlier = messages.length
      send(request)
      return until(() => messages.slice(earlier).find((message) => message.type === 'refused')?.text)
    },
    untilState: (fits) =>
      until(() => {
        const newest = messages.findLast((message) => message.type === 'state')
        return newest && fits(newest) ? newest : undefined
      }),
    [Symbol.dispose]: () => socket.terminate(),
  }
}
