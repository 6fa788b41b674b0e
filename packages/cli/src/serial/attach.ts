/** Connects stdin and stdout to a serial console. */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Closed, Connection } from '../console/dial.ts'
import { EscapeKeys } from './escape-keys.ts'

/** Why the session ended: the user left, the input ended, or the console closed. */
export type End = { readonly why: 'left' | 'input ended' } | { readonly why: 'closed'; readonly closed: Closed }

export interface AttachOptions {
  /** Whether a person types. Piped input is forwarded as it is. */
  readonly interactive: boolean
  /** After the end of the input, how long the console must be silent before the session ends. Infinity: it does not. */
  readonly lingerMs: number
  /** Receives the output besides stdout. */
  readonly log: Writable | undefined
  /** Called for `~?`. */
  readonly onHelp: () => void
}

/** Relays until the session ends. Both directions wait for the slower side. */
export async function attach(connection: Connection, options: AttachOptions): Promise<End> {
  const { stream } = connection
  stream.pipe(process.stdout, { end: false })
  if (options.log !== undefined) stream.pipe(options.log, { end: false })
  return Promise.race([closing(connection), input(connection, options)])
}

/** Waits for the close frame and for the output before it. */
async function closing({ stream, closed }: Connection): Promise<End> {
  await finished(stream, { writable: false }).catch(() => {})
  return { why: 'closed', closed: await closed }
}

async function input(connection: Connection, options: AttachOptions): Promise<End> {
  const keys = options.interactive ? new EscapeKeys() : undefined
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    const { forward, leave, help } = keys?.read(chunk) ?? { forward: chunk, leave: false, help: false }
    if (forward.length > 0) await write(connection, forward)
    if (help) options.onHelp()
    if (leave) return { why: 'left' }
  }
  await silence(connection, options.lingerMs)
  return { why: 'input ended' }
}

async function write({ stream }: Connection, bytes: Uint8Array): Promise<void> {
  if (!stream.write(bytes)) await once(stream, 'drain')
}

/** Resolves once the console has sent nothing for `lingerMs`. */
function silence({ stream }: Connection, lingerMs: number): Promise<void> {
  if (lingerMs === Number.POSITIVE_INFINITY) return new Promise(() => {})
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, lingerMs)
    stream.on('data', () => timer.refresh())
  })
}
