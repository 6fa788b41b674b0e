/** Clients that know nothing of Oriel, at real guests, in a real browser: noVNC as published, and Horizon's console pages. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ConsoleRole, tokenOf } from '@oriel/contract'
import { freePort, type QemuGuest, requires, startQemu, temporaryFolder } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requiresLinux, startLinux } from './parts/linux-guest.ts'
import { apiConfig, listening, MEMBER_TOKEN, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { canvasOf, untilShows } from './parts/page.ts'
import { settled } from './parts/pictures.ts'
import { clientOf, orielAuthority } from './parts/sessions.ts'
import { connectNovnc, novncState, type Site, serving, startNovncSite } from './parts/stock-novnc.ts'

const { skip, reason } = requires('qemu', 'chromium')
const linux = requiresLinux()
const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const SERIAL_ID = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c02'

describe.skipIf(skip || linux.skip)(`at a real QEMU guest${reason}${linux.reason}`, () => {
  const parts = new AsyncDisposableStack()
  const ports = { novnc: 0, exclusive: 0, serial: 0, api: 0 }
  let browser: Browser
  let guest: QemuGuest
  let serial: QemuGuest
  let trace: string
  let site: Site

  beforeAll(async () => {
    trace = join(parts.use(await temporaryFolder()).path, 'trace')
    const traced = ['-trace', 'input_event_key_qcode', '-D', trace]
    guest = parts.use(await startQemu({ name: 'web-1', uuid: ID, args: traced }))
    serial = parts.use(await startLinux({ name: 'serial-1', uuid: SERIAL_ID, vnc: false, serial: true }))
    browser = parts.use(await startChromium())
    site = parts.use(await startNovncSite())
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort()
    await startApi()
    await startProxy('shared', [
      { address: `127.0.0.1:${ports.novnc}`, consoles: ['novnc'] },
      { address: `127.0.0.1:${ports.serial}`, consoles: ['serial'] },
    ])
    await startProxy('exclusive', [{ address: `127.0.0.1:${ports.exclusive}`, consoles: ['novnc'] }])
  })
  afterAll(() => parts.disposeAsync())

  it('noVNC as published shows a watcher the screen, and passes on the keys of the other one alone', async () => {
    await settled(guest)
    const [owner, watcher] = [await novnc(await address('control')), await novnc(await address('watch'))]
    await untilShows(owner, guest)
    await untilShows(watcher, guest)
    for (const [page, key] of [
      [watcher, 'a'],
      [owner, 'b'],
      [watcher, 'c'],
      [owner, 'd'],
    ] as const) {
      await canvasOf(page).click()
      await page.keyboard.press(key)
    }
    await expect.poll(keysOfGuest).toEqual(['b', 'b', 'd', 'd'])
    expect([await novncState(owner), await novncState(watcher)]).toEqual(['connected', 'connected'])
    for (const page of [owner, watcher]) await page.close()
  })

  it('noVNC as published is refused an exclusive console with a status, and takes it over by its address', async () => {
    const first = await novnc(await address('control', 'exclusive'))
    await expect.poll(() => novncState(first)).toBe('connected')
    const second = await browser.newPage()
    const status = new Promise<string>((resolve) =>
      second.on('console', (message) => {
        if (/Unexpected response code/.test(message.text())) resolve(message.text())
      }),
    )
    const url = await address('control', 'exclusive')
    await connectNovnc(second, site, url)
    expect(await status).toContain('Unexpected response code: 409')
    await expect.poll(() => novncState(second)).toBe('lost')
    expect(await novncState(first)).toBe('connected')
    await connectNovnc(second, site, `${url}&take_over=1`)
    await expect.poll(() => novncState(second)).toBe('connected')
    await expect.poll(() => novncState(first)).toBe('disconnected')
    await untilShows(second, guest)
    for (const page of [first, second]) await page.close()
  })

  it.each([
    ['vnc_lite.html?path=%3Ftoken%3D', 'which Nova returns'],
    ['vnc_auto.html?token=', 'which an older Nova returned'],
    ['vnc_auto.html?path=%3Ftoken%3D', 'of an operator who kept the page'],
  ])("Horizon's Console tab shows the screen in a frame with the address %s, %s", async (path) => {
    const url = `http://127.0.0.1:${ports.novnc}/${path}${await token('control')}&title=web-1(${ID})`
    await using horizon = await serving(() => ({
      type: 'text/html',
      body: `<!doctype html><iframe id="console_embed" src="${url.replaceAll('&', '&amp;')}" width="720" height="420"></iframe>`,
    }))
    const page = await browser.newPage()
    await page.goto(horizon.url)
    const frame = page.frameLocator('#console_embed')
    await frame.locator('#status-text', { hasText: /^Connected$/ }).waitFor()
    await frame.locator('canvas').first().waitFor()
    await frame.locator('#name', { hasText: /^web-1$/ }).waitFor()
    await page.close()
  })

  it("Horizon's serial page types into the port that another page of it has open", async () => {
    const [one, two] = [await horizonSerial(), await horizonSerial()]
    for (const page of [one, two]) await page.getByText('Status: Open').waitFor()
    for (const page of [one, two]) await untilPrinted(page, /guest# /)
    await two.locator('#input').pressSequentially('echo $((6 * 7))')
    await two.locator('#input').press('Enter')
    for (const page of [one, two]) await untilPrinted(page, /^42$/m)
    for (const page of [one, two]) await page.close()
  })

  async function startApi(): Promise<void> {
    const servers = [
      { id: ID, name: 'web-1', consoles: { vnc: { host: guest.host, port: guest.vncPort } } },
      { id: SERIAL_ID, name: 'serial-1', consoles: { serial: { host: serial.host, port: serial.serialPort } } },
    ]
    const consoles = { serial: { base_url: `ws://127.0.0.1:${ports.serial}/` } }
    await listening(parts.use(await startApp('api', merge(apiConfig(ports.api, ports.novnc, servers), { consoles }))))
  }

  async function startProxy(share: 'shared' | 'exclusive', listen: readonly object[]): Promise<void> {
    const config = merge(proxyConfig(ports.api, ports.novnc), {
      ...{ authority: orielAuthority(ports.api, `proxy-${share}`), sessions: { share }, listen },
      origin: { allowed: ['http://127.0.0.1'] },
    })
    await listening(parts.use(await startApp('proxy', config)), listen.length)
  }

  const create = async (server_id: string, type: 'novnc' | 'serial', role: ConsoleRole = 'control') =>
    (await clientOf(ports.api, MEMBER_TOKEN).oriel.createConsole({ server_id, body: { type, role } })).console.url

  const token = async (role: ConsoleRole) => tokenOf(await create(ID, 'novnc', role))!

  /** The address to which an application that uses noVNC connects. */
  const address = async (role: ConsoleRole, at: 'novnc' | 'exclusive' = 'novnc') =>
    `ws://127.0.0.1:${ports[at]}/websockify?token=${await token(role)}`

  async function novnc(url: string): Promise<Page> {
    const page = await browser.newPage()
    await connectNovnc(page, site, url)
    return page
  }

  async function horizonSerial(): Promise<Page> {
    const url = await create(SERIAL_ID, 'serial')
    await using horizon = await serving(() => ({ type: 'text/html', body: horizonSerialPage(url) }))
    const page = await browser.newPage()
    await page.goto(horizon.url)
    return page
  }

  /** The letters whose keys QEMU pressed or released. */
  const keysOfGuest = async () =>
    [...(await readFile(trace, 'utf8')).matchAll(/input_event_key_qcode .*qcode ([a-z])\b/g)].map(([, key]) => key)
})

const untilPrinted = (page: Page, text: RegExp) =>
  expect.poll(() => page.locator('#terminal').textContent(), { timeout: 60_000 }).toMatch(text)

/**
 * Plays Horizon's page of a serial console: it offers its two subprotocols, leaves the type of binary messages at its default,
 * sends Enter when the WebSocket opens, and then each key as text.
 */
const horizonSerialPage = (url: string) => `<!doctype html><title>Horizon</title>
<pre id="terminal"></pre><p id="status"></p><input id="input" autofocus>
<script>
  const [terminal, status, input] = ['terminal', 'status', 'input'].map((id) => document.getElementById(id))
  const states = ['Connecting', 'Open', 'Closing', 'Closed']
  const socket = new WebSocket(${JSON.stringify(url)}, ['binary', 'base64'])
  const show = () => { status.textContent = 'Status: ' + states[socket.readyState] }
  const print = (text) => { terminal.textContent += text }
  for (const event of ['error', 'close']) socket.addEventListener(event, show)
  socket.onopen = () => { show(); socket.send(String.fromCharCode(13)) }
  socket.onmessage = ({ data }) => {
    if (!(data instanceof Blob)) return print(data)
    const reader = new FileReader()
    reader.onload = () => print(reader.result)
    reader.readAsText(data)
  }
  input.addEventListener('keydown', ({ key }) => socket.send(key === 'Enter' ? '\\r' : key))
</script>`
