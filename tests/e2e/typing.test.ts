/** Types on keyboard layouts into a real Linux, through the proxy, and compares what arrives. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { type Layout, loadLayout, openScreen, type Screen } from '@oriel/console'
import { requires, type VncOptions } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CKBCOMP, type LinuxGuest, requiresLinux, startLinux } from './parts/linux-guest.ts'
import { type Pair, startPair } from './parts/oriel.ts'
import { canvasOf } from './parts/page.ts'

const qemu = requires('qemu')
const chromium = requires('chromium')
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

  describe.skipIf(chromium.skip)(`by the console page${chromium.reason}`, () => {
    let browser: Browser

    beforeAll(async () => {
      browser = parts.use(await startChromium())
      await swift!.guest.run('loadkeys -q -C /dev/tty1 de-latin1')
    })

    it('types a long text on the chosen layout, with Caps Lock on, its panel closed, and a key pressed meanwhile', {
      timeout: FILE_TIMEOUT_MS,
    }, async () => {
      const page = await openPage()
      await swift!.screen.press('CapsLock')
      await expect.poll(() => swift!.screen.leds?.capsLock).toBe(true)
      const text = umlautFile(LONG_CHARACTERS)
      await type(page, text, 'loadkeys-de-latin1')
      await page.keyboard.press('Escape')
      await canvasOf(page).click()
      await page.keyboard.press('x')
      await page.getByRole('progressbar').waitFor()
      await page.getByRole('progressbar').waitFor({ state: 'hidden', timeout: FILE_TIMEOUT_MS })
      expect(sha256(await arrived(text))).toBe(sha256(text))
      expect(await page.locator('#type-note').textContent()).toBe('Typed.')
      await expect.poll(() => swift!.screen.leds).toMatchObject({ capsLock: true, numLock: false })
      await swift!.screen.press('CapsLock')
      await page.context().close()
    })

    it('names before the first key what the layout lacks, and remembers the layout of the server', async () => {
      const page = await openPage()
      await type(page, 'Größe 5', 'loadkeys-uk')
      await note(page, /^Nothing was typed: Linux console, loadkeys uk has no ö ß\. These layouts have them: /)
      await page.getByRole('button', { name: 'Type the rest' }).click()
      await note(page, /^Typed, without ö ß$/)
      expect(await arrived('Gre 5')).toBe('Gre 5')
      await page.reload()
      await page.getByRole('button', { name: 'Type text…' }).click()
      await expect.poll(() => page.getByLabel('Keyboard layout of the machine').inputValue()).toBe('loadkeys-uk')
      await page.context().close()
    })

    it('stops while the guest is paused, with no key down in it afterwards', async () => {
      const page = await openPage()
      await type(page, 'ABC '.repeat(500), 'loadkeys-de-latin1')
      await page.locator('#typing-progress:not([value="0"])').waitFor({ state: 'attached' })
      await swift!.guest.qmp('stop')
      await page.getByRole('button', { name: 'Stop' }).click()
      await note(page, /^Stopped\. A part of the text may have arrived\.$/)
      await swift!.guest.qmp('cont')
      await swift!.guest.run(': >/tmp/typed')
      await swift!.screen.type('done', { layout: 'loadkeys-de-latin1' })
      expect(await swift!.guest.run('tail -c 4 /tmp/typed')).toBe('done')
      await page.context().close()
    })

    async function openPage(): Promise<Page> {
      await swift!.guest.run(': >/tmp/typed')
      const page = await (await browser.newContext()).newPage()
      await page.goto((await swift!.oriel.client.createConsole(id, 'novnc')).url)
      return page
    }

    async function type(page: Page, text: string, layout: string): Promise<void> {
      await page.getByRole('button', { name: 'Type text…' }).click()
      await page.getByLabel('Keyboard layout of the machine').selectOption(layout)
      await page.getByLabel('Text to type').fill(text)
      await page.getByRole('button', { name: 'Type it' }).click()
    }

    const note = (page: Page, hasText: RegExp) => page.locator('#type-note', { hasText }).waitFor()
    const arrived = (text: string) => arrivedIn(swift!.guest, Buffer.byteLength(text))
  })
})

/** A Linux that records what is typed, and its screen through the proxy. */
interface Keyboard extends AsyncDisposable {
  readonly guest: LinuxGuest
  readonly screen: Screen
  readonly oriel: Pair
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
  return { guest, screen, oriel, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

/** Types on an empty line, and returns what has arrived. */
async function typed({ guest, screen }: Keyboard, keymap: string, text: string, layout: string): Promise<string> {
  await guest.run(`loadkeys -q -C /dev/tty1 ${keymap}; : >/tmp/typed`)
  await screen.type(text, { layout })
  return arrivedIn(guest, Buffer.byteLength(text))
}

/** Returns the typed text once it has that many bytes, or after five seconds. */
async function arrivedIn(guest: LinuxGuest, bytes: number): Promise<string> {
  await guest.run(`for i in $(seq 50); do [ $(wc -c </tmp/typed) -ge ${bytes} ] && break; sleep 0.1; done`)
  // Enter is a carriage return to a program that reads keys.
  return guest.run("tr '\\r' '\\n' </tmp/typed")
}

const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i))
/** Characters of the page's text in CI. `TYPED_CHARACTERS=5000` types more. */
const LONG_CHARACTERS = Number(process.env.TYPED_CHARACTERS ?? 700)

/** Capitals, umlauts and the characters that the German layout has on AltGr. */
const umlautFile = (length: number) => fileOf([...'ÄaÖbÜcßdEeFfGgHh{}[]@|<>äöüÄÖÜ0 9?!Zy'], length)

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** Lines of 60 characters in ever different order. */
function fileOf(characters: readonly string[], length = FILE_CHARACTERS): string {
  const at = (i: number) => (i % 61 === 60 ? '\n' : characters[(i * 7 + Math.floor(i / 61)) % characters.length]!)
  return Array.from({ length }, (_, i) => at(i)).join('')
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
