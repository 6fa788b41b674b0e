/** Speaks the protocol of a console up to its first picture or its first bytes. */
import { ConsoleClosed, openScreen, openSerial } from '@oriel/console'
import { consoleTypes, type OpenableConsoleType, socketAddress } from '@oriel/contract'
import { SettingsError } from '@oriel/sdk'
import type { WebSocket } from 'ws'
import type { Cloud } from '../../cloud/sign-in.ts'
import { type Attempt, type End, elapsed } from './attempt.ts'
import { linkError, linkMessage, REPLY_BYTES } from './spice-link.ts'

/** Speaks with the console at an access URL, and resolves with what it found. Leaves the WebSocket open. */
export type Speak = (url: string, attempt: Attempt, cloud: Cloud, signal: AbortSignal) => Promise<string>

/** How long a silent serial console is listened to. */
const LISTEN_MS = 1_000
/** The longest timer. A screen that is kept idle stays silent. */
const NEVER_MS = 2 ** 31 - 1

const speakers: Readonly<Record<string, Speak>> = {
  vnc: async (url, { webSocket }, { timeoutMs: openTimeoutMs }, signal) => {
    const screen = await openScreen({ url, webSocket, openTimeoutMs, silenceTimeoutMs: NEVER_MS, signal })
    return `the first picture has ${screen.width}×${screen.height} pixels`
  },
  serial: async (url, attempt, { timeoutMs: openTimeoutMs }, signal) => {
    const serial = await openSerial({ url, webSocket: attempt.webSocket, openTimeoutMs, signal })
    const ended = attempt.ended.then((end) => Promise.reject(closed(end)))
    ended.catch(() => {})
    const bytes = serial.readable.getReader().read()
    const first = await Promise.race([bytes, elapsed(LISTEN_MS, signal), ended])
    const length = first instanceof Object ? first.value?.byteLength : undefined
    return length === undefined ? 'the port is open; the machine prints nothing now' : `the first ${length} bytes`
  },
  spice: async (url, attempt, { timeoutMs }, signal) => {
    const socket = attempt.dial(addressOf(url))
    const [reply] = await Promise.all(
      [firstBytes(socket, attempt), sendWhenOpen(socket, linkMessage(), attempt)].map((work) =>
        Promise.race([work, late(timeoutMs, signal, 'SPICE')]),
      ),
    )
    const error = linkError(reply as Buffer)
    if (error === undefined) throw new Error('the server does not answer in SPICE')
    return error === 0 ? 'the SPICE server accepts a link' : `a SPICE server, which answers a link with error ${error}`
  },
}

/** For protocols without a check of their own: the proxy accepted the console, and has dialled the hypervisor. */
const accepted: Speak = async (url, attempt) => {
  attempt.dial(addressOf(url))
  await attempt.answer
  return 'the console proxy accepted it'
}

export const speakerOf = (type: OpenableConsoleType): Speak => speakers[consoleTypes[type].protocol] ?? accepted

function addressOf(url: string): string {
  const address = socketAddress(url)?.href
  if (address === undefined) throw new SettingsError('The access URL leads to no WebSocket')
  return address
}

async function sendWhenOpen(socket: WebSocket, bytes: Buffer, { answer }: Attempt): Promise<void> {
  if ((await answer).kind === 'open') socket.send(bytes)
}

function firstBytes(socket: WebSocket, { ended }: Attempt): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0)
    socket.on('message', (data: Buffer) => {
      bytes = Buffer.concat([bytes, data])
      if (bytes.length >= REPLY_BYTES) resolve(bytes)
    })
    ended.then((end) => reject(closed(end)))
  })
}

const closed = ({ code, reason }: End) =>
  new ConsoleClosed({ code, text: reason || `the console closed with code ${code}`, remedy: 'none' })

async function late(timeoutMs: number, signal: AbortSignal, protocol: string): Promise<never> {
  await elapsed(timeoutMs, signal)
  signal.throwIfAborted()
  throw new Error(`the console sent nothing of ${protocol} within ${timeoutMs / 1000} s`)
}
