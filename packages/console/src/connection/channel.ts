/** The WebSocket of a console. */
import { ConnectionError, type OrielError } from '@oriel/sdk'
import { closeReason, REFUSALS_SUBPROTOCOL } from '@oriel/sdk/close-reasons'
import { ConsoleClosed, ConsoleRefused, ProtocolError } from '../errors.ts'

/** Creates a WebSocket, such as one of a library that takes certificates. */
export type CreateWebSocket = (address: string, protocols: string[]) => WebSocketLike

/** The part of the web's WebSocket that is used. That of the package `ws` has it too. */
export interface WebSocketLike {
  binaryType: string
  readonly protocol: string
  readonly bufferedAmount: number
  send(data: Uint8Array<ArrayBuffer>): void
  close(code?: number): void
  // biome-ignore lint/suspicious/noExplicitAny: the events of the DOM, of Node and of `ws` have different types
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: any) => void): void
}

export interface ChannelEvents {
  /** The proxy accepted the connection. A proxy of Nova's may still refuse the token, and then closes it at once. */
  onOpen?(): void
  onBytes(bytes: Uint8Array): void
  /** The last event. `error`: why the connection ended. `undefined` after `close()`. */
  onEnd(error: OrielError | undefined): void
}

/** Creates the WebSocket of the platform. */
export const platformWebSocket: CreateWebSocket = (address, protocols) => new WebSocket(address, protocols)

export interface Channel {
  /** How many bytes wait to be sent. */
  readonly unsentBytes: number
  send(bytes: Uint8Array): void
  /** Closes the connection. `error` is what `onEnd` gets. */
  close(error?: OrielError): void
}

/** Dials a console. Nothing is sent until its first bytes have come. */
export function openChannel(address: URL, create: CreateWebSocket, events: ChannelEvents): Channel {
  const socket = create(address.href, ['binary', REFUSALS_SUBPROTOCOL])
  socket.binaryType = 'arraybuffer'
  const { origin } = address
  let opened = false
  let ended = false
  const end = (error?: OrielError) => {
    if (ended) return
    ended = true
    events.onEnd(error)
  }
  const close = (error?: OrielError) => {
    end(error)
    socket.close()
  }
  socket.addEventListener('open', () => {
    opened = socket.protocol !== REFUSALS_SUBPROTOCOL
    if (opened && !ended) events.onOpen?.()
  })
  // A close event follows, which says more.
  socket.addEventListener('error', () => {})
  socket.addEventListener('close', ({ code, reason }: CloseDetail) => end(endOf(code, reason, opened, origin)))
  socket.addEventListener('message', ({ data }: { data: unknown }) => {
    if (ended) return
    if (data instanceof ArrayBuffer) events.onBytes(new Uint8Array(data))
    else close(new ProtocolError('The server sent text in place of bytes'))
  })
  return {
    get unsentBytes() {
      return socket.bufferedAmount
    },
    send: (bytes) => ended || socket.send(bytes as Uint8Array<ArrayBuffer>),
    close,
  }
}

interface CloseDetail {
  readonly code: number
  readonly reason: string
}

function endOf(code: number, reason: string, opened: boolean, origin: string): OrielError {
  const known = closeReason(code, reason)
  if (!opened) return known && known.code >= 4400 ? new ConsoleRefused(known) : didNotOpen(origin)
  if (code === 1005 || code === 1000) {
    return new ConsoleClosed({ code, text: 'The machine closed the console.', remedy: 'reconnect' })
  }
  if (known !== undefined) return new ConsoleClosed(known)
  if (reason !== '') return new ConsoleClosed({ code, text: plainLine(reason), remedy: 'reconnect' })
  return new ConnectionError('network', `The connection to the console at ${origin} broke (WebSocket code ${code})`)
}

const didNotOpen = (origin: string) =>
  new ConnectionError('network', `${origin} did not open the console: it cannot be reached, or the URL has expired`)

/** Removes line breaks and control characters from text of the server. */
const plainLine = (text: string) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
