/** Consoles of a real QEMU behind real reverse proxies with TLS, below a path, with the files of deploy/reverse-proxies/. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import type { OpenableConsoleType } from '@oriel/contract'
import {
  freePort,
  type LogRecord,
  type QemuGuest,
  type RunningProgram,
  requires,
  startQemu,
  type TemporaryFolder,
  temporaryFolder,
  temporaryPki,
} from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { apiConfig, listening, MEMBER_TOKEN, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { complaintsOf, untilShows, untilTerminal } from './parts/page.ts'
import { type ReverseProxy, reverseProxyNames, startReverseProxy } from './parts/reverse-proxies.ts'
import { asViewer } from './parts/rfb.ts'
import { clientOf, orielAuthority } from './parts/sessions.ts'

const SERVER = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const TYPES = ['novnc', 'serial', 'spice-direct'] as const
const PATIENT = { timeout: 60_000 }
/** Differs from the address of the reverse proxies. */
const CLIENT = '127.0.0.9'
const { skip, reason } = requires('qemu', 'chromium', 'haproxy', 'nginx', 'apache', 'caddy')

describe.skipIf(skip)(`consoles behind reverse proxies${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let pki: TemporaryFolder
  let guest: QemuGuest
  let browser: Browser
  let site: Site

  beforeAll(async () => {
    pki = parts.use(await temporaryPki())
    guest = parts.use(await startQemu({ name: 'web-1', uuid: SERVER, serial: true, firmware: 'serial', spice: {} }))
    browser = parts.use(await startChromium())
    site = parts.use(await startSite(guest, pki))
  })
  afterAll(() => parts.disposeAsync())

  describe.each(reverseProxyNames)('%s', (name) => {
    let reverse: ReverseProxy
    let context: BrowserContext

    beforeAll(async () => {
      reverse = await startReverseProxy(name, { proxies: site.proxies, pki: pki.path })
      context = await browser.newContext({ ignoreHTTPSErrors: true })
    })
    afterAll(async () => {
      await context.close()
      await site.idle()
      await reverse[Symbol.asyncDispose]()
    })

    const urlOf = async (type: OpenableConsoleType) => moved(await site.url(type), reverse.port)

    it('shows the screen, who is present, and the screen again after a reload', async () => {
      const page = await context.newPage()
      const complaints = complaintsOf(page)
      await page.goto(await urlOf('novnc'))
      await untilShows(page, guest)
      await page.getByRole('button', { name: 'People: 1' }).waitFor()
      await page.waitForURL(/[?&]resume=/, PATIENT)
      expect(page.url()).not.toContain('token')
      await page.reload()
      await untilShows(page, guest)
      expect(complaints).toEqual([])
      await page.close()
    })

    it('shows the serial port and sends keys to it', async () => {
      const page = await context.newPage()
      await page.goto((await urlOf('serial')).replace('/serial/', '/serial/serial.html'))
      await expect.poll(() => stateOf(page), PATIENT).toBe('connected')
      await guest.qmp('system_reset')
      await untilTerminal(page, /SeaBIOS/)
      await page.close()
    })

    it('serves the file of a native viewer', async () => {
      const { response, body } = await get(await urlOf('spice-direct'))
      expect(response.statusCode).toBe(200)
      expect(response.headers['content-type']).toBe('application/x-virt-viewer')
      expect(body.toString()).toMatch(/^\[virt-viewer\][\s\S]*^password=./m)
    })

    it('brings all viewers of a machine to one proxy, with the address of each client', async () => {
      const before = site.opened().length
      for (let i = 0; i < 4; i += 1) {
        const socket = dial(await urlOf('novnc'), { headers: FORGED })
        await (await asViewer(socket)).desktopName()
        socket.terminate()
        await once(socket, 'close')
      }
      const opened = site.opened().slice(before)
      expect(opened.map(({ client }) => client)).toEqual([CLIENT, CLIENT, CLIENT, CLIENT])
      expect(new Set(opened.map(({ proxy }) => proxy)).size).toBe(1)
    })

    it('opens consoles through the other proxy while one is down', async () => {
      const [one, two] = site.proxies
      const absent = `127.0.0.1:${await freePort()}`
      for (const proxies of [[absent, two] as const, [one, absent] as const]) {
        await using half = await startReverseProxy(name, { proxies, pki: pki.path })
        const socket = dial(moved(await site.url('novnc'), half.port))
        expect(await (await asViewer(socket)).desktopName()).toBe('QEMU (web-1)')
        socket.terminate()
        // With an open console, Apache takes ten seconds to stop.
        await site.idle()
      }
    })

    it('passes the refusal of a page of another host on', async () => {
      const socket = dial(await urlOf('novnc'), { origin: 'https://elsewhere.example' })
      const [request, response] = (await once(socket, 'unexpected-response')) as [{ destroy(): void }, IncomingMessage]
      expect(response.statusCode).toBe(403)
      expect(await text(response)).toContain('This page may not open consoles here.')
      request.destroy()
    })

    it('passes compressed pages on, and answers 304 to a browser that has them', async () => {
      const page = new URL('vnc_lite.html', await urlOf('novnc')).href
      const { body: plain } = await get(page)
      for (const [coding, decode] of [
        ['br', brotliDecompressSync],
        ['gzip', gunzipSync],
      ] as const) {
        const { response, body } = await get(page, { 'Accept-Encoding': coding })
        expect(response.headers['content-encoding']).toBe(coding)
        expect(decode(body)).toEqual(plain)
        const again = await get(page, { 'Accept-Encoding': coding, 'If-None-Match': response.headers.etag! })
        expect(again.response.statusCode).toBe(304)
      }
    })
  })
})

/** What a client may send to be taken for another one. */
const FORGED = { 'X-Forwarded-For': '192.0.2.1', Forwarded: 'for=192.0.2.2', 'X-Forwarded-Host': 'elsewhere.example' }

type Console = { readonly state: string }
const stateOf = (page: Page): Promise<string> =>
  page.locator('oriel-serial').evaluate((element) => (element as unknown as Console).state)

/** The certificates of these tests are for localhost and 127.0.0.1, but no client here trusts their CA. */
const FROM_CLIENT = { localAddress: CLIENT, rejectUnauthorized: false }

function dial(url: string, options: object = {}) {
  const { origin, pathname, searchParams } = new URL(url)
  const folder = pathname.replace(/[^/]*$/, '')
  const address = `${origin.replace('https', 'wss')}${folder}${searchParams.get('path')}`
  return new WebSocket(address, ['binary'], { origin, ...FROM_CLIENT, ...options })
}

async function get(url: string, headers: RequestOptions['headers'] = {}) {
  const [response] = (await once(request(url, { ...FROM_CLIENT, headers }).end(), 'response')) as [IncomingMessage]
  return { response, body: await buffer(response) }
}

/** Returns the address with https and another port. */
function moved(url: string, port: number): string {
  const found = new URL(url.replace(/^ws/, 'http'))
  found.port = String(port)
  return found.href
}

interface Site extends AsyncDisposable {
  readonly proxies: readonly [string, string]
  /** Returns the URL of a new console, with a port at which nothing listens. */
  url(type: OpenableConsoleType): Promise<string>
  /** The consoles that were opened, with the index of their proxy. */
  opened(): { readonly client: unknown; readonly proxy: number }[]
  /** Resolves once no console is open. */
  idle(): Promise<unknown>
}

async function startSite(guest: QemuGuest, pki: TemporaryFolder): Promise<Site> {
  await using scope = new AsyncDisposableStack()
  const apiPort = await freePort()
  const consoles = {
    vnc: { host: guest.host, port: guest.vncPort },
    serial: { host: guest.host, port: guest.serialPort },
    spice: { host: guest.host, port: guest.spicePort },
  }
  const api = scope.use(
    await startApp('api', merge(apiConfig(apiPort, 1, [{ id: SERVER, name: 'web-1', consoles }]), { consoles: BASES })),
  )
  await listening(api)
  const folder = scope.use(await temporaryFolder()).path
  const keyFile = join(folder, 'resume.key')
  await writeFile(keyFile, 'k'.repeat(44))
  const programs: RunningProgram[] = []
  const ports = [await freePort(), await freePort()]
  for (const port of ports) programs.push(scope.use(await startBehind(apiPort, port, keyFile, pki)))
  const client = clientOf(apiPort, MEMBER_TOKEN)
  const isOpened = ({ msg }: LogRecord) => msg === 'session opened'
  const all = scope.move()
  return {
    proxies: [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}`],
    url: async (type) => (await client.createConsole(SERVER, type)).url,
    opened: () =>
      programs
        .flatMap(({ records }, proxy) => records.filter(isOpened).map(({ client, time }) => ({ client, proxy, time })))
        .toSorted((a, b) => Date.parse(String(a.time)) - Date.parse(String(b.time))),
    // Also called after the tests, where `expect.poll` throws.
    idle: () => vi.waitUntil(() => openCount(programs.flatMap(({ records }) => records)) === 0, PATIENT),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

const openCount = (records: readonly LogRecord[]) =>
  records.filter(({ msg }) => msg === 'session opened').length -
  records.filter(({ msg }) => msg === 'session ended').length

const BASES = {
  novnc: { base_url: 'https://127.0.0.1:1/consoles/novnc/vnc_lite.html' },
  serial: { base_url: 'wss://127.0.0.1:1/consoles/serial/' },
  'spice-direct': { base_url: 'https://127.0.0.1:1/consoles/spice-direct/nova' },
}

async function startBehind(apiPort: number, port: number, keyFile: string, { path }: TemporaryFolder) {
  const tls = { cert_file: join(path, 'server-cert.pem'), key_file: join(path, 'server-key.pem') }
  const proxy = await startApp(
    'proxy',
    merge(proxyConfig(apiPort, port), {
      authority: orielAuthority(apiPort),
      listen: [{ address: `127.0.0.1:${port}`, consoles: TYPES }],
      // Reads both headers, so that one which a client forged and the reverse proxy passes on shows.
      origin: { trusted_proxies: ['127.0.0.1'] },
      sessions: { resume_key_file: keyFile },
      hypervisor: { spice: { allow_plaintext: true } },
      spice: { tls_listen: '127.0.0.1:0', public_host: '127.0.0.1', tls },
    }),
  )
  await listening(proxy)
  return proxy
}
