/** One connection to a serial port, from dialling to its end. */

import { type ConsoleEnd, carriesConsole, closedByPerson, describeEnd, localEnd, subprotocols } from '../console-end.ts'
import type { ConsoleSession, SessionEvents } from '../console-events.ts'
import { t } from '../language/texts/elements.ts'
import type { ConsoleAddress } from '../page-key.ts'

/** How long dialling may take. */
export const openTimeoutMs = 20_000
/** The longest frame of input. The proxy refuses messages over 1 MiB. */
export const maxFrameBytes = 64 * 1024
/** The browser buffers input that the machine does not read; input beyond this limit is dropped. */
export const maxBufferedBytes = 4 * 1024 * 1024
/** How often to look at the browser's buffer, which has no event for its size. */
const pollMs = 20

export interface SerialSessionEvents extends SessionEvents {
  output(bytes: Uint8Array | string): void
}

export interface SerialSession extends ConsoleSession {
  /** Sends input. Drops it if the console is not connected, or if {@link maxBufferedBytes} are already waiting. */
  send(bytes: Uint8Array): void
  /**
   * Resolves once at most `bytes` of the input are still in the browser's buffer.
   * @throws Error if the console ends before
   */
  sentUpTo(bytes: number): Promise<void>
}

/**
 * Dials `address`.
 * @throws SyntaxError or SecurityError for an address that the browser refuses to dial
 */
export function openSerialSession(to: ConsoleAddress, events: SerialSessionEvents): SerialSession {
  const socket = new WebSocket(to.address, subprotocols(to))
  socket.binaryType = 'arraybuffer'
  let connectedAt: number | undefined
  let heardAt = 0
  let ended = false
  const end = (how: ConsoleEnd) => {
    if (ended) return
    ended = true
    clearTimeout(deadline)
    events.end(how)
  }
  const hangUp = (how: ConsoleEnd) => {
    end(how)
    socket.close()
  }
  const deadline = setTimeout(() => hangUp(localEnd('no_answer')), openTimeoutMs)
  socket.addEventListener('open', () => {
    if (ended || !carriesConsole(socket)) return
    clearTimeout(deadline)
    connectedAt = performance.now()
    events.connect()
  })
  socket.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer | string>) => {
    heardAt = performance.now()
    if (!ended) events.output(typeof data === 'string' ? data : new Uint8Array(data))
  })
  socket.addEventListener('close', ({ code, reason, wasClean }) =>
    end(describeEnd({ code, reason, wasClean, opened: connectedAt !== undefined })),
  )
  return {
    connectedMs: () => (connectedAt === undefined ? 0 : Math.max(1, performance.now() - connectedAt)),
    close: () => hangUp(closedByPerson()),
    silentMs: () => performance.now() - heardAt,
    send(bytes) {
      if (connectedAt === undefined || socket.readyState !== socket.OPEN) return
      for (let from = 0; from < bytes.length && socket.bufferedAmount < maxBufferedBytes; from += maxFrameBytes) {
        socket.send(bytes.slice(from, from + maxFrameBytes))
      }
    },
    async sentUpTo(bytes) {
      while (!ended && socket.bufferedAmount > bytes) await new Promise((resolve) => setTimeout(resolve, pollMs))
      if (ended) throw new Error(t('error.lost'))
    },
  }
}
