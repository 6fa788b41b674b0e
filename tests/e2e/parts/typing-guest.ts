/** A real Linux that records what is typed at its console, and keymaps and texts for it. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { openScreen, type Screen } from '@oriel/console'
import type { VncOptions } from '@oriel/testkit'
import { CKBCOMP, type LinuxGuest, startLinux } from './linux-guest.ts'
import { type Pair, startPair } from './oriel.ts'

/** The server's id. */
export const id = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'

/** xkb layouts that the guest has as `console-setup` gives them to the console, in `xkb-NAME`. */
export const xkbLayouts = ['de', 'fr', 'gb', 'es', 'pl', 'jp', 'us-intl'] as const

export interface TypingGuest extends AsyncDisposable {
  readonly guest: LinuxGuest
  /** Its screen through the proxy. */
  readonly screen: Screen
  readonly oriel: Pair
}

/** @param vnc how long QEMU waits after each key. Default: as long as QEMU does by default */
export async function startTypingGuest(vnc: VncOptions = {}): Promise<TypingGuest> {
  await using scope = new AsyncDisposableStack()
  const files = await Promise.all(xkbLayouts.map(consoleSetup))
  const guest = scope.use(await startLinux({ tty1: 'record', files, vnc }))
  const consoles = { vnc: { host: guest.host, port: guest.vncPort } }
  const oriel = scope.use(await startPair({ servers: [{ id, name: 'web-1', consoles }] }))
  const screen = scope.use(await openScreen(oriel.client, id))
  await guest.run('true')
  const rest = scope.move()
  return { guest, screen, oriel, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

/** Types on an empty line, and returns what has arrived. */
export async function typed(
  { guest, screen }: TypingGuest,
  keymap: string,
  text: string,
  layout: string,
): Promise<string> {
  await guest.run(`loadkeys -q -C /dev/tty1 ${keymap}; : >/tmp/typed`)
  await screen.type(text, { layout })
  return arrivedIn(guest, Buffer.byteLength(text))
}

/** Returns the typed text once it has that many bytes, or after five seconds. */
export async function arrivedIn(guest: LinuxGuest, bytes: number): Promise<string> {
  await guest.run(`for i in $(seq 50); do [ $(wc -c </tmp/typed) -ge ${bytes} ] && break; sleep 0.1; done`)
  // Enter is a carriage return to a program that reads keys.
  return guest.run("tr '\\r' '\\n' </tmp/typed")
}

export const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i))

/** Returns lines of 60 characters in ever different order. */
export function linesOf(characters: readonly string[], length: number): string {
  const at = (i: number) => (i % 61 === 60 ? '\n' : characters[(i * 7 + Math.floor(i / 61)) % characters.length]!)
  return Array.from({ length }, (_, i) => at(i)).join('')
}

export const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** The keymap that Debian's `console-setup` makes of an xkb layout. */
async function consoleSetup(name: string) {
  const [layout, variant = ''] = name.split('-') as [string, string?]
  const { stdout } = await promisify(execFile)(CKBCOMP, ['-layout', layout, '-variant', variant], {
    maxBuffer: 1 << 24,
  })
  return { path: `root/xkb-${name}.map`, content: stdout }
}
