/**
 * Opens console pages in a real browser with hostile machines and proxies: pages must show their texts as text, never
 * as markup, under the Content-Security-Policy that the proxy sends.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { freePort, type Peer, requires, scriptedServer } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Pair, startPair } from './parts/oriel.ts'
import { canvasOf, complaintsOf, untilTerminal } from './parts/page.ts'

const { skip, reason } = requires('chromium')
const MARKUP = '<img src=x onerror="globalThis.harmed=1"><script>globalThis.harmed=1</script>'
const SHORT_MARKUP = '<img src=x onerror="globalThis.harmed=1"><b>bold</b>'

describe.skipIf(skip)(`console pages in Chromium${reason}`, () => {
  const parts = new AsyncDisposableStack()
  const ids = { vnc: '0c6f4b1e-52a9-4f6e-9c57-0f7a3a2a8a01', serial: '0c6f4b1e-52a9-4f6e-9c57-0f7a3a2a8a02' }
  let browser: Browser
  let oriel: Pair

  beforeAll(async () => {
    browser = parts.use(await startChromium())
    const vnc = parts.use(await scriptedServer(hostileRfb))
    const serial = parts.use(await scriptedServer(hostileTerminal))
    const [vncPort, serialPort] = [await freePort(), await freePort()]
    const at = ({ host, port }: { host: string; port: number }) => ({ host, port })
    oriel = parts.use(
      await startPair({
        servers: [
          { id: ids.vnc, name: 'vnc', consoles: { vnc: at(vnc) } },
          { id: ids.serial, name: 'serial', consoles: { serial: at(serial) } },
        ],
        api: {
          consoles: {
            novnc: { base_url: `http://127.0.0.1:${vncPort}/vnc_lite.html` },
            serial: { base_url: `http://127.0.0.1:${serialPort}/serial.html` },
          },
        },
        proxy: {
          listen: [
            { address: `127.0.0.1:${vncPort}`, consoles: ['novnc'] },
            { address: `127.0.0.1:${serialPort}`, consoles: ['serial'] },
            { address: '127.0.0.1:0', consoles: ['spice-html5'] },
          ],
          origin: { allowed: ['localhost'] },
        },
      }),
    )
  })
  afterAll(() => parts.disposeAsync())

  it('CVE-2017-18635 noVNC: show the desktop name of a machine as text', async () => {
    const page = await browser.newPage()
    const complaints = complaintsOf(page)
    await page.goto(await mint('vnc'))
    await canvasOf(page).waitFor()
    await expect.poll(() => page.title()).toBe(`${MARKUP} · Console`)
    expect(await page.locator('#name').textContent()).toBe(MARKUP)
    await page.getByRole('button', { name: 'Clipboard' }).click()
    await expect.poll(() => page.getByLabel('Clipboard text').inputValue()).toBe(MARKUP)
    await expectNoHarm(page)
    expect(complaints).toEqual([])
    await page.close()
  })

  it('say which characters a clipboard without Unicode replaces', async () => {
    const page = await browser.newPage()
    await page.goto(await mint('vnc'))
    await canvasOf(page).waitFor()
    await page.getByRole('button', { name: 'Clipboard' }).click()
    await page.getByLabel('Clipboard text').fill('für 5 € €')
    await page.getByRole('button', { name: 'Send to the machine' }).click()
    await page.getByText('Sent, with "?" in place of €: ').waitFor()
    await page.close()
  })

  it('CVE-2012-2094, CVE-2026-40212 output rendered as HTML: show serial output and the terminal title as text', async () => {
    const page = await browser.newPage()
    const complaints = complaintsOf(page)
    let dialogs = 0
    page.on('dialog', (dialog) => {
      dialogs += 1
      return dialog.dismiss()
    })
    await page.goto(await mint('serial'))
    await untilTerminal(page, /done/)
    expect((await untilTerminal(page, /done/)).replaceAll('\n', '')).toContain(MARKUP)
    await expect.poll(() => page.title()).toBe(`${MARKUP} · Console`)
    expect(await page.locator('#name').textContent()).toBe(MARKUP)
    const { x, y, width, height } = (await page.getByText('a link').boundingBox())!
    await page.mouse.click(x + width / 2, y + height / 2)
    expect(page.context().pages()).toHaveLength(1)
    expect(dialogs).toBe(0)
    await expectNoHarm(page)
    expect(complaints).toEqual([])
    await page.close()
  })

  it('load in a frame of an allowed page on any port', async () => {
    const page = await browser.newPage()
    const complaints = complaintsOf(page)
    await using portal = await portalAround(await mint('vnc'))
    await page.goto(`http://localhost:${portal.port}/`)
    await page.frameLocator('iframe').locator('canvas').first().waitFor()
    expect(complaints.join()).not.toMatch(/Content Security Policy/)
    await page.close()
  })

  it('do not load in a frame of another page, which shows the origin to allow and a link to a tab instead', async () => {
    const page = await browser.newPage()
    const complaints = complaintsOf(page)
    await using portal = await portalAround(await mint('vnc'))
    await page.goto(`http://127.0.0.1:${portal.port}/`)
    const frame = page.frameLocator('iframe')
    await frame.getByText('This console proxy may not be shown inside http://127.0.0.1').waitFor()
    await frame.getByText('origin.allowed = ["http://127.0.0.1"]').waitFor()
    expect(await frame.locator('canvas, script').count()).toBe(0)
    const opened = page.waitForEvent('popup')
    await frame.getByRole('link', { name: 'Open the console in a new tab' }).click()
    const tab = await opened
    await canvasOf(tab).waitFor()
    await tab.close()
    expect(complaints.join()).not.toMatch(/Content Security Policy/)
    const line = 'origin.allowed = ["localhost", "http://127.0.0.1"]'
    await oriel.proxy.waitForLog((record) => record.level === 'warn' && record.line === line)
    await page.close()
  })

  it('do not load in a frame of a page without an origin', async () => {
    const page = await browser.newPage()
    const complaints = complaintsOf(page)
    await using portal = await portalAround(await mint('vnc'), { 'Referrer-Policy': 'same-origin' })
    await page.goto(`http://127.0.0.1:${portal.port}/`)
    await expect.poll(() => complaints.join()).toMatch(/Content Security Policy.*frame-ancestors/)
    expect(await page.frameLocator('iframe').locator('canvas').count()).toBe(0)
    await page.close()
  })

  it('draw the colours of a terminal although the policy forbids inline styles', async () => {
    const page = await browser.newPage()
    const complaints = complaintsOf(page)
    await page.goto(await mint('serial'))
    await untilTerminal(page, /done/)
    /** The colours of all such words: the terminal prints anew for this session, after the output of earlier ones. */
    const colours = (text: string) =>
      page
        .locator('oriel-serial .xterm-rows span', { hasText: new RegExp(`^${text}$`) })
        .evaluateAll((spans) => [
          ...new Set(spans.map((span) => (globalThis as unknown as BrowserWindow).getComputedStyle(span).color)),
        ])
    await expect.poll(() => colours('tinted')).toEqual(['rgb(1, 200, 3)'])
    await expect.poll(() => colours('red')).toEqual(['rgb(255, 143, 133)'])
    const policy = (await fetch(page.url())).headers.get('content-security-policy')
    expect(policy).toContain("style-src 'self';")
    expect(policy).not.toContain('unsafe')
    expect(complaints).toEqual([])
    await page.close()
  })

  it.each([
    ['vnc.html', 4999],
    ['serial.html', 4999],
    ['spice_auto.html', 4999],
    ['vnc.html', 1011],
    ['serial.html', 1011],
  ])('CVE-2012-2094 output rendered as HTML: %s shows the reason of close code %i as text', async (file, code) => {
    await using site = await hostileSite(await origins(), (socket) => socket.close(code, SHORT_MARKUP))
    const page = await browser.newPage()
    await page.goto(`${site.url}/${file}?token=t&reconnect=0`)
    await page.locator('.overlay[data-tone="ended"]').waitFor()
    const shown = await page.locator('.overlay .text').textContent()
    expect(shown).toBe(code === 4999 ? SHORT_MARKUP : 'The console proxy failed. Its log says why.')
    expect(await page.locator('.overlay b').count()).toBe(0)
    await expectNoHarm(page)
    await page.close()
  })

  it('CVE-2017-18635 noVNC: do not show the reason of a failed security handshake as markup', async () => {
    await using site = await hostileSite(await origins(), (socket) => {
      const reasonBytes = Buffer.from(MARKUP)
      socket.send(Buffer.from('RFB 003.008\n'))
      socket.once('message', () => {
        const length = Buffer.alloc(4)
        length.writeUInt32BE(reasonBytes.length)
        socket.send(Buffer.concat([Buffer.of(0), length, reasonBytes]))
      })
    })
    const page = await browser.newPage()
    await page.goto(`${site.url}/vnc.html?token=t&reconnect=0`)
    await page.locator('.overlay[data-tone="ended"]').waitFor()
    await expectNoHarm(page)
    await page.close()
  })

  /** Returns the origin of the pages. */
  const origins = async () => new URL(await mint('serial')).origin

  const mint = async (protocol: 'vnc' | 'serial') =>
    (await oriel.client.createConsole(ids[protocol], protocol === 'vnc' ? 'novnc' : protocol)).url
})

interface BrowserWindow {
  getComputedStyle(element: unknown): { readonly color: string }
}

async function expectNoHarm(page: Page): Promise<void> {
  expect(await page.evaluate(() => (globalThis as { harmed?: number }).harmed)).toBeUndefined()
  expect(await page.locator('img[src="x"]').count()).toBe(0)
}

/** Serves a desktop whose name and clipboard contain markup (RFC 6143 sections 7.3.2 and 7.6.4). */
async function hostileRfb(peer: Peer): Promise<void> {
  await peer.send(Buffer.from('RFB 003.008\n'))
  await peer.expect(Buffer.from('RFB 003.008\n'))
  await peer.send(Buffer.of(1, 1))
  await peer.expect(Buffer.of(1))
  await peer.send(Buffer.alloc(4))
  await peer.read(1)
  const size = Buffer.from('00400030', 'hex')
  const format = Buffer.from('20180001 00ff00ff00ff 100800 000000'.replaceAll(' ', ''), 'hex')
  await peer.send(Buffer.concat([size, format, lengthOf(MARKUP), Buffer.from(MARKUP)]))
  // noVNC parses the next message only when more bytes arrive. So wait for its SetPixelFormat, as a real server does.
  await peer.read(20)
  const cut = Buffer.of(3, 0, 0, 0)
  await peer.send(Buffer.concat([cut, lengthOf(MARKUP), Buffer.from(MARKUP)]))
  peer.socket.on('error', () => {})
  peer.socket.resume()
  await peer.closed({ timeoutMs: 600_000 })
}

function lengthOf(text: string): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(text.length)
  return bytes
}

/**
 * Serves a terminal that prints markup, also as its title, sets the clipboard and prints a link (ECMA-48, OSC 0, 8,
 * 52).
 */
async function hostileTerminal(peer: Peer): Promise<void> {
  peer.socket.on('error', () => {})
  const lines = [
    `\u001b]0;${MARKUP}\u0007`,
    `${MARKUP}\r\n`,
    `\u001b]52;c;${Buffer.from(MARKUP).toString('base64')}\u0007`,
    '\u001b]8;;javascript:globalThis.harmed=1\u0007a link\u001b]8;;\u0007\r\n',
    '\u001b[38;2;1;200;3mtinted\u001b[0m \u001b[31mred\u001b[0m\r\n',
    'done\r\n',
  ]
  await peer.send(Buffer.from(lines.join('')))
  await peer.closed({ timeoutMs: 600_000 })
}

/** Serves a portal's page that contains only a console in a frame. */
async function portalAround(url: string, headers: Record<string, string> = {}) {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html', ...headers }).end(`<iframe src="${url}"></iframe>`)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** Serves the pages of `origin` with their headers, and passes every WebSocket to `play`. */
async function hostileSite(origin: string, play: (socket: WebSocket) => void) {
  const server = createServer(async (request, response) => {
    const answer = await fetch(new URL(request.url ?? '/', origin))
    const policy = answer.headers.get('content-security-policy') ?? ''
    response.writeHead(answer.status, {
      'Content-Type': answer.headers.get('content-type') ?? 'text/plain',
      'Content-Security-Policy': policy,
    })
    response.end(Buffer.from(await answer.arrayBuffer()))
  })
  const sockets = new WebSocketServer({ server, handleProtocols: (offered) => [...offered][0] ?? false })
  sockets.on('connection', play)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate()
      sockets.close()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
