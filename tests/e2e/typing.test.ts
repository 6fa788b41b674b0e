/** Types on keyboard layouts into a real Linux, through the proxy, and compares what arrives. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { type Layout, loadLayout, openScreen, type Screen } from '@oriel/console'
import { requires, type VncOptions } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CKBCOMP, type LinuxGuest, requiresLinux, startLinux } from './parts/linux-guest.ts'
import { startPair } from './parts/oriel.ts'

const qemu = requires('qemu')
const linux = requiresLinux()

const id = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'

const FILE_CHARACTERS = 5_000
const FILE_TIMEOUT_MS = 200_000

/** xkb layouts that are also tried as `console-setup` gives them to the console. */
const xkbLayouts = ['de', 'fr', 'gb', 'es', 'pl', 'jp', 'us-intl'] as const

describe.skipIf(qemu.skip || linux.skip)(`typing at a Linux console${qemu.reason}${linux.reason}`, () => {
  const parts = new AsyncDisposableStack()
  /** Guests whose QEMU waits after each key as it does by default, and one whose QEMU does not wait. */
  let [usual, swift]: Keyboard[] = []

  beforeAll(async () => {
    usual = parts.use(await startKeyboard({}))
    swift = parts.use(await startKeyboard({ keyDelayMs: 0 }))
  })
  afterAll(() => parts.disposeAsync())

  it.each([
    ['de', 'loadkeys-de'],
    ['fr', 'loadkeys-fr'],
    ['jp106', 'loadkeys-jp106'],
    ['es', 'loadkeys-es'],
    ['uk', 'loadkeys-uk'],
  ])('types every character of `loadkeys %s` with the layout %s', async (keymap, name) => {
    const text = charactersOf(await loadLayout(name))
    expect(await typed(usual!, keymap, text, name)).toBe(text)
  })

  it.each([
    // These are dead keys or elsewhere on xkb's layout, see the README.
    ['de', 'de', '^`\\'],
    ['fr', 'fr', ''],
    ['jp106', 'jp', ''],
    ['uk', 'gb', ''],
  ])(
    'types ASCII into a guest with `loadkeys %s` with the layout %s, except for %s',
    async (keymap, layout, except) => {
      const text = ascii.filter((character) => !except.includes(character)).join('')
      expect(await typed(usual!, keymap, text, layout)).toBe(text)
    },
  )

  it.each(xkbLayouts)('types every character of %s, dead keys included, into a guest set up from xkb', async (name) => {
    const text = charactersOf(await loadLayout(name))
    expect(await typed(swift!, `xkb-${name}`, text, name)).toBe(text)
  })

  it('types a file of 5,000 characters whole', { timeout: FILE_TIMEOUT_MS }, async () => {
    const text = fileOf(ascii.filter((character) => !'^`\\'.includes(character)))
    const arrived = await typed(swift!, 'de', text, 'de')
    expect(sha256(arrived)).toBe(sha256(text))
  })
})

/** A Linux that records what is typed, and its screen through the proxy. */
interface Keyboard extends AsyncDisposable {
  readonly guest: LinuxGuest
  readonly screen: Screen
}

async function startKeyboard(vnc: VncOptions): Promise<Keyboard> {
  await using scope = new AsyncDisposableStack()
  const files = await Promise.all(xkbLayouts.map(consoleSetup))
  const guest = scope.use(await startLinux({ tty1: 'record', files, vnc }))
  const consoles = { vnc: { host: guest.host, port: guest.vncPort } }
  const oriel = scope.use(await startPair({ servers: [{ id, name: 'web-1', consoles }] }))
  const screen = scope.use(await openScreen(oriel.client, id))
  await guest.run('true')
  const rest = scope.move()
  return { guest, screen, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

/** Types on an empty line, and returns what has arrived. */
async function typed({ guest, screen }: Keyboard, keymap: string, text: string, layout: string): Promise<string> {
  await guest.run(`loadkeys -q -C /dev/tty1 ${keymap}; : >/tmp/typed`)
  await screen.type(text, { layout })
  // Enter is a carriage return to a program that reads keys.
  const bytes = Buffer.byteLength(text)
  await guest.run(`for i in $(seq 50); do [ $(wc -c </tmp/typed) -ge ${bytes} ] && break; sleep 0.1; done`)
  return guest.run("tr '\\r' '\\n' </tmp/typed")
}

const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i))
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** Lines of 60 characters in ever different order. */
function fileOf(characters: readonly string[]): string {
  const at = (i: number) => (i % 61 === 60 ? '\n' : characters[(i * 7 + Math.floor(i / 61)) % characters.length]!)
  return Array.from({ length: FILE_CHARACTERS }, (_, i) => at(i)).join('')
}

/** The characters of the keys, and those of the dead keys that the kernel composes in any keymap. */
function charactersOf({ keys, dead }: Layout): string {
  const composed = dead.flatMap(({ pairs }) => [...pairs].filter((_, i) => i % 2 === 1))
  return [...new Set([...keys.flatMap(([, row]) => [...row]), ...composed.filter(isKernels)])].join('')
}

/** Letters of Latin-1 with grave, acute, circumflex, tilde, diaeresis or cedilla, and these accents in ASCII. */
const isKernels = (character: string) =>
  character <= '\u00ff' && /^(?:[\x21-\x7e]|[A-Za-z][\u0300-\u0303\u0308\u0327])$/.test(character.normalize('NFD'))

/** The keymap that Debian's `console-setup` makes of an xkb layout. */
async function consoleSetup(name: string) {
  const [layout, variant = ''] = name.split('-') as [string, string?]
  const { stdout } = await promisify(execFile)(CKBCOMP, ['-layout', layout, '-variant', variant], {
    maxBuffer: 1 << 24,
  })
  return { path: `root/xkb-${name}.map`, content: stdout }
}
