/** Opens SPICE consoles of a real QEMU with spice-html5 in a real browser. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { freePort, type QemuGuest, requires, startQemu } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, CDPSession, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { recordAnnouncements } from './parts/accessibility-tree.ts'
import { startGate } from './parts/gate.ts'
import { leaveScreen, moveTo, press as pressKeys, untilAnnounced, untilFocused } from './parts/keyboard.ts'
import { type LinuxGuest, requiresLinux, startLinux } from './parts/linux-guest.ts'
import { type Pair, startPair } from './parts/oriel.ts'
import { canvasOf, complaintsOf, untilShows } from './parts/page.ts'
import { samePicture, settled } from './parts/pictures.ts'

const PACKAGE = new URL('../../packages/elements/node_modules/@spice-project/spice-html5/', import.meta.url)
/** The default of `sessions.max_per_instance`. */
const MAX_PER_INSTANCE = 16
const { skip, reason } = requires('qemu', 'chromium')
const linux = requiresLinux()

describe.skipIf(skip)(`spice-html5 to a real QEMU guest in Chromium${reason}`, () => {
  const id = '3b0f7a58-2f0e-4d8c-8a3b-5f4c9d1e7a02'
  const parts = new AsyncDisposableStack()
  let guest: QemuGuest
  let browser: Browser
  let oriel: Pair

  beforeAll(async () => {
    guest = parts.use(await startQemu({ name: 'spice-1', uuid: id, vnc: false, spice: {} }))
    browser = parts.use(await startChromium())
    const port = await freePort()
    const consoles = { spice: { host: guest.host, port: guest.spicePort } }
    oriel = parts.use(
      await startPair({
        servers: [{ id, name: 'spice-1', consoles }],
        api: { consoles: { 'spice-html5': { base_url: `http://127.0.0.1:${port}/spice_auto.html` } } },
        proxy: { listen: [{ address: `127.0.0.1:${port}`, consoles: ['spice-html5'] }] },
      }),
    )
  })
  afterAll(() => parts.disposeAsync())

  it('shows the text screen of the guest, and sends it the ESC key', async () => {
    const page = await browser.newPage()
    const complaints = complaintsOf(page)
    await page.goto(await mint())
    await settled(guest)
    const screen = await untilShows(page, guest)

    await canvasOf(page).click()
    await page.keyboard.press('Escape')
    await untilShows(page, guest, (picture) => !samePicture(picture, screen))
    expect(complaints).toEqual([])
    await page.close()
  })

  it('opens every channel with one token, each as a separate session', async () => {
    const page = await browser.newPage()
    const earlier = sessionsOf('opened').length
    await page.goto(await mint())
    await canvasOf(page).waitFor()
    await expect.poll(() => sessionsOf('opened').length - earlier).toBeGreaterThanOrEqual(4)
    expect(
      new Set(
        sessionsOf('opened')
          .slice(earlier)
          .map(({ digest }) => digest),
      ).size,
    ).toBe(1)
    await page.close()
    await expect.poll(() => sessionsOf('opened').length - sessionsOf('ended').length).toBe(0)
  })

  it('sends Ctrl+Alt+Del', async () => {
    const page = await browser.newPage()
    await page.goto(await mint())
    await page.getByText('Connected', { exact: true }).waitFor()
    await canvasOf(page).waitFor()
    const reset = nextEvent(guest, 'RESET')
    await page.getByRole('button', { name: 'Keys…' }).click()
    await page.getByRole('button', { name: 'Ctrl+Alt+Del' }).click()
    await reset
    await page.close()
  })

  it('is worked with the keyboard alone, and a screen reader', async () => {
    const page = await browser.newPage()
    await recordAnnouncements(page.context())
    await page.goto(await mint())
    await untilFocused(page, /^application "Screen\b.*Ctrl\+Alt\+Shift leaves it\."/)
    const either = /^Connected$|^The keyboard goes to the machine\./
    await untilAnnounced(page, either, either)
    await leaveScreen(page)
    await untilFocused(page, /^button "Keys…" expanded=false/)
    await pressKeys(page, 'Enter')
    await untilFocused(page, /^heading "Keys"/)
    await pressKeys(page, 'Escape')
    await untilFocused(page, /^button "Keys…" expanded=false/)
    const reset = nextEvent(guest, 'RESET')
    await pressKeys(page, 'Enter')
    await moveTo(page, /^button "Ctrl\+Alt\+Del"/)
    await pressKeys(page, 'Enter')
    await reset
    await untilFocused(page, /^application "Screen/)

    await leaveScreen(page)
    await pressKeys(page, 'ArrowRight')
    await untilFocused(page, /^button "Actual size" pressed=false/)
    await pressKeys(page, 'Space')
    await untilFocused(page, /^button "Actual size" pressed=true/)
    await pressKeys(page, 'ArrowRight')
    await untilFocused(page, /^button "Full screen" pressed=false/)
    await pressKeys(page, 'ArrowRight')
    await untilFocused(page, /^link "/)
    await moveTo(page, /^button "Connected"/, 'Shift+Tab')
    await pressKeys(page, 'Enter')
    await untilFocused(page, /^heading "This session"/)
    await moveTo(page, /^button "Leave"/)
    await pressKeys(page, 'Enter')
    await untilFocused(page, /^button "Not connected"/)
    await untilAnnounced(page, /Reconnect$/)
    await moveTo(page, /^button "Reconnect"/)
    await pressKeys(page, 'Enter')
    await untilFocused(page, /^application "Screen/)
    await untilAnnounced(page, /^Opening the console…$/, /^Connected$/)
    await page.evaluate('document.querySelector("oriel-spice").disconnect()')
    await untilFocused(page, /^group ""/)
    await untilAnnounced(page, /Reconnect$/)
    await page.close()
  })

  it('sends clicks at their position on the screen at every scale', async () => {
    const page = await browser.newPage({ viewport: { width: 400, height: 800 } })
    await page.goto(await mint())
    // Until then, the overlay covers the screen and takes the click.
    await page.getByText('Connected', { exact: true }).waitFor()
    await settled(guest)
    await untilShows(page, guest)
    const { shown, scaled } = await offsetsOfAClick(page)
    expect(scaled).toBeLessThan(1)
    expect(Math.abs(shown.x - 100)).toBeLessThanOrEqual(2)
    expect(Math.abs(shown.y - 50)).toBeLessThanOrEqual(2)
    await page.close()
  })

  it('shows that too many consoles are open if only the main channel fits the limit, and connects once more fit', async () => {
    await expect.poll(() => sessionsOf('opened').length - sessionsOf('ended').length).toBe(0)
    const { host, search } = new URL(await mint())
    const others = Array.from({ length: MAX_PER_INSTANCE - 1 }, () => new WebSocket(`ws://${host}/${search}`, 'binary'))
    await Promise.all(others.map((other) => once(other, 'open')))
    const page = await browser.newPage()
    await page.goto(await mint())
    await page.getByText('Too many consoles are open.').waitFor({ timeout: 60_000 })
    for (const other of others) other.terminate()
    await page.getByText('Connected', { exact: true }).waitFor()
    await page.close()
  })

  it('dials again once its link is silent, although no connection was closed', async () => {
    const url = new URL(await mint())
    await using link = await startGate(Number(url.port))
    url.port = String(link.port)
    const page = await browser.newPage()
    const { promise: isWatched, resolve: watched } = Promise.withResolvers<unknown>()
    page.on('websocket', (socket) => {
      if (socket.url().includes('/oriel.session')) socket.once('framereceived', watched)
    })
    await page.goto(url.href)
    await page.getByText('Connected', { exact: true }).waitFor()
    await isWatched
    link.close()
    await page.evaluate("dispatchEvent(new Event('online'))")
    await page.getByText('Connected', { exact: true }).waitFor({ state: 'hidden' })
    link.open()
    await page.getByText('Connected', { exact: true }).waitFor()
    await untilShows(page, guest)
    await page.close()
  })

  it('shows that the machine has closed the console', async () => {
    const page = await browser.newPage()
    await page.goto(`${await mint()}&reconnect=false`)
    await canvasOf(page).waitFor()
    await guest.qmp('quit').catch(() => {})
    const ends = page.getByText('The machine closed the console.')
    await ends.or(page.getByText('The connection to the machine broke.')).waitFor()
    await page.close()
  })

  it('comes with unmodified, unbundled files of spice-html5 and both of its licence texts', async () => {
    const { origin } = new URL(await mint())
    const text = async (path: string) => (await fetch(`${origin}/third-party/spice-html5/${path}`)).text()
    expect(await text('COPYING.LESSER.txt')).toMatch(/GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3/)
    expect(await text('COPYING.txt')).toMatch(/GNU GENERAL PUBLIC LICENSE\s+Version 3/)
    for (const file of ['src/main.js', 'src/display.js', 'src/thirdparty/jsbn.js']) {
      expect(await text(file)).toBe(await readFile(new URL(file, PACKAGE), 'utf8'))
    }
  })

  const sessionsOf = (what: 'opened' | 'ended') => oriel.proxy.records.filter(({ msg }) => msg === `session ${what}`)

  const mint = async () => {
    const body = { remote_console: { protocol: 'spice', type: 'spice-html5' } } as const
    return (await oriel.client.at('2.6').createRemoteConsole({ server_id: id, body })).remote_console.url
  }
})

describe.skipIf(skip || linux.skip)(
  `keys of spice-html5 in a Linux with a German keymap${reason}${linux.reason}`,
  () => {
    const id = '1d0ff8a5-4a43-4c0e-9b52-7c5a4a0a9f11'
    const parts = new AsyncDisposableStack()
    let guest: LinuxGuest
    let page: Page
    let keyboard: CDPSession

    beforeAll(async () => {
      guest = parts.use(
        await startLinux({ keymap: 'de-latin1', fonts: ['Lat15-Fixed14'], tty1: 'record', vnc: false, spice: {} }),
      )
      const browser = parts.use(await startChromium())
      const port = await freePort()
      const consoles = { spice: { host: guest.host, port: guest.spicePort } }
      const { client } = parts.use(
        await startPair({
          servers: [{ id, name: 'spice-2', consoles }],
          api: { consoles: { 'spice-html5': { base_url: `http://127.0.0.1:${port}/spice_auto.html` } } },
          proxy: { listen: [{ address: `127.0.0.1:${port}`, consoles: ['spice-html5'] }] },
        }),
      )
      const body = { remote_console: { protocol: 'spice', type: 'spice-html5' } } as const
      const { url } = (await client.at('2.6').createRemoteConsole({ server_id: id, body })).remote_console
      page = await browser.newPage()
      keyboard = await page.context().newCDPSession(page)
      await guest.run('true')
      await page.goto(url)
      await page.getByText('Connected', { exact: true }).waitFor()
      await page
        .locator('header')
        .evaluate((header) => header.insertAdjacentHTML('beforeend', '<input aria-label="Field">'))
    })
    afterAll(() => parts.disposeAsync())

    it('arrive by their position, with AltGr', async () => {
      await press('KeyZ', 'y', 89)
      await press('KeyY', 'z', 90)
      await press('Semicolon', 'ö', 192)
      await press('Minus', 'ß', 219)
      await press('IntlBackslash', '<', 226)
      await press('Backslash', '#', 191)
      await press('BracketRight', '+', 187)
      await change('AltRight', 'AltGraph', 225, true)
      await press('KeyQ', '@', 81)
      await change('AltRight', 'AltGraph', 225, false)
      await arrives('yzöß<#+@')
    })

    it('that are held are released when the screen loses the focus', async () => {
      await change('ControlLeft', 'Control', 17, true)
      await change('AltLeft', 'Alt', 18, true)
      await page.getByLabel('Field').focus()
      await change('AltLeft', 'Alt', 18, false)
      await change('ControlLeft', 'Control', 17, false)
      await canvasOf(page).click()
      await press('KeyA', 'a', 65)
      await arrives('a')
    })

    it('stay in a field of the page when the library replaces its canvas', async () => {
      await page.getByLabel('Field').focus()
      await canvasOf(page).evaluate((canvas) => canvas.setAttribute('data-earlier', ''))
      await guest.run('setfont -C /dev/tty1 Lat15-Fixed14')
      await page.locator('canvas:not([data-earlier])').waitFor()
      await page.keyboard.type('ls')
      expect(await page.getByLabel('Field').inputValue()).toBe('ls')
    })

    const change = (code: string, key: string, windowsVirtualKeyCode: number, down: boolean) =>
      keyboard.send('Input.dispatchKeyEvent', { type: down ? 'rawKeyDown' : 'keyUp', code, key, windowsVirtualKeyCode })

    async function press(code: string, key: string, windowsVirtualKeyCode: number): Promise<void> {
      await change(code, key, windowsVirtualKeyCode, true)
      await change(code, key, windowsVirtualKeyCode, false)
    }

    /** Waits until the guest has recorded this text, and nothing else, and forgets it. */
    async function arrives(text: string): Promise<void> {
      const bytes = Buffer.byteLength(text)
      await guest.run(`for i in $(seq 50); do [ $(wc -c </tmp/typed) -ge ${bytes} ] && break; sleep 0.1; done`)
      expect(await guest.run('cat /tmp/typed; : >/tmp/typed')).toBe(text)
    }
  },
)

/** Clicks at pixel (100, 50) of the canvas, and returns the position in the page's event. */
async function offsetsOfAClick(page: Page) {
  const canvas = canvasOf(page)
  await canvas.evaluate((element) => {
    const target = element as unknown as MouseTarget
    target.addEventListener('mousedown', ({ offsetX: x, offsetY: y }) => Object.assign(target, { shown: { x, y } }))
  })
  const box = (await canvas.boundingBox())!
  const scaled = box.width / Number(await canvas.getAttribute('width'))
  await page.mouse.click(box.x + 100 * scaled, box.y + 50 * scaled)
  const shown = await canvas.evaluate((element) => (element as unknown as MouseTarget).shown)
  return { shown: shown ?? { x: -1, y: -1 }, scaled }
}

interface MouseTarget {
  readonly shown?: { readonly x: number; readonly y: number }
  addEventListener(type: 'mousedown', listener: (event: { offsetX: number; offsetY: number }) => void): void
}

/** Resolves at the next event of that name. */
async function nextEvent(guest: QemuGuest, name: string): Promise<void> {
  const since = Date.now() / 1000
  for await (const { event, timestamp } of guest.events) {
    if (event === name && timestamp.seconds + timestamp.microseconds / 1e6 >= since) return
  }
}
