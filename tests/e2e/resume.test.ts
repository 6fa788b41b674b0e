/** A page that loses its console comes back without its token, through another proxy, for as long as it may. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer as createWebServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Client } from '@oriel/sdk'
import {
  freePort,
  type LogRecord,
  type Peer,
  type RunningProgram,
  requires,
  scriptedServer,
  temporaryFolder,
  temporaryPki,
} from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, BrowserContext, Frame, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHaproxy } from './parts/haproxy.ts'
import { apiConfig, listening, MEMBER_TOKEN, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { untilTerminal } from './parts/page.ts'
import { serveScreen } from './parts/rfb.ts'
import { BEAT_SECONDS, clientOf, orielAuthority } from './parts/sessions.ts'

const { skip, reason } = requires('chromium')
const behindHaproxy = requires('chromium', 'haproxy')
const SERVER = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
/** Long enough to open a page with it on a busy machine. */
const TOKEN_SECONDS = 20
const PATIENT = { timeout: 90_000 }

describe.skipIf(skip).each(['http', 'https'] as const)(`a page at %s with two proxies${reason}`, (scheme) => {
  const parts = new AsyncDisposableStack()
  let browser: Browser
  let site: Site

  beforeAll(async () => {
    browser = parts.use(await startChromium())
    site = parts.use(await startSite(scheme))
  })
  afterAll(() => parts.disposeAsync())

  it('comes back through the other proxy within two seconds of its link, which was cut for longer than its token lives', async () => {
    const { page, expiresAt } = await opened()
    await site.link.cut()
    await expect.poll(() => stateOf(page)).toBe('waiting')
    await expect.poll(() => Date.now() > expiresAt, PATIENT).toBe(true)
    site.link.restore(1)
    expect(await onlineAgain(page)).toBeLessThan(2_000)
    expect(await stateOf(page)).toBe('connected')
    await untilTerminal(page, /hello/)
    expect(await site.lastSession()).toMatchObject({ proxy_id: 'proxy-two', server_id: SERVER, user_id: 'alice' })
    await page.reload()
    await expect.poll(() => stateOf(page), PATIENT).toBe('connected')
    await page.context().close()
  }, 180_000)

  it('has an address that opens nothing in another browser, at either proxy, nor has the URL that it came from', async () => {
    const { page, url } = await opened()
    const copied = page.url()
    expect(copied).not.toContain('token')
    for (const port of site.ports) {
      for (const text of [url, copied]) {
        const elsewhere = await newContext()
        const visitor = await elsewhere.newPage()
        await visitor.goto(text.replace(/:\d+\//, `:${port}/`))
        await expect.poll(() => stateOf(visitor), PATIENT).toBe('ended')
        expect(await visitor.locator('oriel-serial').textContent()).not.toContain('hello')
        await elsewhere.close()
      }
    }
    expect(await stateOf(page)).toBe('connected')
    await page.context().close()
  }, 180_000)

  if (scheme === 'http')
    it('comes back soon after its link fell silent, although no connection was closed', async () => {
      const { page } = await opened()
      await page.getByRole('button', { name: 'People: 1' }).waitFor()
      site.link.freeze()
      expect(await onlineAgain(page)).toBeLessThan(20_000)
      expect(await stateOf(page)).toBe('connected')
      await page.context().close()
    }, 180_000)

  // Over https, the page refuses to be shown in a page that was loaded over http.
  if (scheme === 'http')
    it('comes back in a frame of another site, where browsers store nothing', async () => {
      site.link.restore(0)
      await using portal = await startPortal((await site.mint()).url)
      const page = await (await newContext()).newPage()
      const ticket = page.waitForResponse(/oriel\.resume/)
      await page.goto(`http://localhost:${portal.port}/`)
      const answer = await ticket
      expect(answer.status()).toBe(200)
      await answer.finished()
      const frame = page.frame({ url: /serial\.html/ })!
      // The page takes the ticket in a later task than that in which the answer has arrived.
      await frame.evaluate(() => new Promise((resolve) => setTimeout(resolve)))
      await site.link.cut()
      await expect.poll(() => stateOf(frame)).toBe('waiting')
      site.link.restore(1)
      await online(frame)
      await expect.poll(() => stateOf(frame), PATIENT).toBe('connected')
      expect(frame.url()).toContain('token')
      await page.context().close()
    }, 180_000)

  it('stays out if its tokens are revoked while it is away', async () => {
    const { page } = await opened()
    await site.link.cut()
    await expect.poll(() => stateOf(page)).toBe('waiting')
    await site.untilEnded()
    await site.client.oriel.revokeTokens({ server_id: SERVER })
    site.link.restore(1)
    await online(page)
    await expect.poll(() => stateOf(page), PATIENT).toBe('ended')
    await page.reload()
    await expect.poll(() => stateOf(page), PATIENT).toBe('ended')
    await page.context().close()
  }, 180_000)

  /** Opens a console with a URL for a single use, until the page can come back without its token. */
  async function opened(): Promise<{ page: Page; url: string; expiresAt: number }> {
    site.link.restore(0)
    const { url, expires_at } = await site.mint()
    const page = await (await newContext()).newPage()
    await page.goto(url)
    await untilTerminal(page, /hello/)
    await page.waitForURL(/[?&]resume=/, { timeout: 60_000 })
    return { page, url, expiresAt: Date.parse(expires_at) }
  }

  const newContext = (): Promise<BrowserContext> => browser.newContext({ ignoreHTTPSErrors: true })
})

describe.skipIf(behindHaproxy.skip)(`a page behind HAProxy with two proxies${behindHaproxy.reason}`, () => {
  it('comes back through the other proxy after its own was killed, whichever proxy its requests for tickets reach', async () => {
    await using parts = new AsyncDisposableStack()
    const browser = parts.use(await startChromium())
    const hypervisor = parts.use(await scriptedServer(serveScreen))
    const [apiPort, publicPort] = [await freePort(), await freePort()]
    const api = { consoles: { novnc: { base_url: `http://127.0.0.1:${publicPort}/vnc_lite.html` } } }
    parts.use(await startApi(apiPort, { vnc: { host: hypervisor.host, port: hypervisor.port } }, api))
    const proxies = parts.use(await startProxies({ apiPort, console: 'novnc' }))
    parts.use(await startHaproxy(balanced(publicPort, proxies.ports), publicPort))
    const page = await browser.newPage()
    await page.goto((await mint(clientOf(apiPort, MEMBER_TOKEN), 'novnc')).url)
    await page.waitForURL(/[?&]resume=/, { timeout: 60_000 })
    // The presence, too, may have reached the other proxy at first.
    await page.getByRole('button', { name: 'People: 1' }).waitFor()
    const isOpened = ({ msg }: LogRecord) => msg === 'session opened'
    const [own, other] = proxies.programs.toSorted((program) => (program.records.some(isOpened) ? -1 : 1))
    process.kill(own!.pid, 'SIGKILL')
    await own!.exited
    await other!.waitForLog(isOpened, { timeoutMs: 60_000 })
    await expect.poll(() => stateOf(page), PATIENT).toBe('connected')
  }, 180_000)
})

type Console = { readonly state: string }
const stateOf = (page: Page | Frame): Promise<string> =>
  page.locator('oriel-serial, oriel-vnc').evaluate((element) => (element as unknown as Console).state)

/** What a browser does once the network is back. */
const online = (page: Page | Frame) => page.evaluate("dispatchEvent(new Event('online'))")

/** Does the same. Resolves with how long the page took to be connected again, in milliseconds, by the browser's own clock. */
const onlineAgain = (page: Page): Promise<number> =>
  page.locator('oriel-serial').evaluate((element) => {
    const target = element as unknown as BrowserElement
    const since = performance.now()
    const connected = new Promise<number>((resolve) =>
      target.addEventListener('connect', () => resolve(performance.now() - since), { once: true }),
    )
    target.ownerDocument.defaultView.dispatchEvent(new Event('online'))
    return connected
  })

// The used parts of the DOM, because these tests are compiled for Node.
interface BrowserElement extends EventTarget {
  readonly ownerDocument: { readonly defaultView: EventTarget }
}

/** Serves a page with the console in a frame. */
async function startPortal(url: string) {
  const server = createWebServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' })
    response.end(`<!doctype html><title>Portal</title><iframe src="${url.replaceAll('&', '&amp;')}"></iframe>`)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function serveSerial(peer: Peer): Promise<void> {
  await peer.send(Buffer.from('hello\r\n'))
  await peer.closed({ timeoutMs: 600_000 })
}

/** The link between the browser and the proxies. */
interface Link extends AsyncDisposable {
  readonly port: number
  /** Drops all connections and accepts no more. Resolves once they are dropped. */
  cut(): Promise<void>
  /** Passes nothing more on over the connections that are open now, and leaves them open. */
  freeze(): void
  /** Leads to the proxy with this index. */
  restore(proxy: 0 | 1): void
}

async function startLink(ports: readonly [number, number]): Promise<Link> {
  const sockets = new Set<Socket>()
  let target: number | undefined = ports[0]
  const server = createServer((client) => {
    if (target === undefined) return client.destroy()
    const proxy = connect(target, '127.0.0.1')
    for (const [one, other] of [
      [client, proxy],
      [proxy, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const drop = () => Promise.all([...sockets].map((socket) => once(socket.destroy(), 'close')))
  return {
    port: (server.address() as AddressInfo).port,
    async cut() {
      target = undefined
      await drop()
    },
    freeze() {
      for (const socket of sockets) socket.unpipe().pause()
    },
    restore(proxy) {
      target = ports[proxy]
    },
    async [Symbol.asyncDispose]() {
      server.close()
      await drop()
    },
  }
}

interface Site extends AsyncDisposable {
  readonly link: Link
  readonly ports: readonly number[]
  readonly client: Client
  /** Creates a console and returns its URL, which can be used once and not for long. */
  mint(): Promise<{ readonly url: string; readonly expires_at: string }>
  /** Resolves once the API has no open session. */
  untilEnded(): Promise<void>
  lastSession(): Promise<object>
}

/** Starts one api and two proxies that share a key, behind a link. */
async function startSite(scheme: 'http' | 'https'): Promise<Site> {
  await using scope = new AsyncDisposableStack()
  const { host, port } = scope.use(await scriptedServer(serveSerial))
  const apiPort = await freePort()
  const proxies = scope.use(await startProxies({ apiPort, console: 'serial', scheme }))
  const link = scope.use(await startLink(proxies.ports))
  const api = { consoles: { serial: { base_url: `${scheme}://127.0.0.1:${link.port}/serial.html` } } }
  scope.use(await startApi(apiPort, { serial: { host, port } }, api))
  const client = clientOf(apiPort, MEMBER_TOKEN)
  const list = async (state?: 'open') =>
    (await client.oriel.listSessions({ query: state === undefined ? {} : { state } })).sessions
  const rest = scope.move()
  return {
    ...{ link, client, ports: proxies.ports },
    mint: () => mint(client, 'serial'),
    untilEnded: () => expect.poll(() => list('open'), PATIENT).toEqual([]),
    lastSession: async () => (await list())[0]!,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

async function startApi(port: number, consoles: object, more: object): Promise<RunningProgram> {
  const config = apiConfig(port, 1, [{ id: SERVER, name: 'web-1', consoles }])
  const api = await startApp('api', merge(config, { sessions: { beat_seconds: BEAT_SECONDS }, ...more }))
  await listening(api)
  return api
}

interface ProxyOptions {
  readonly apiPort: number
  readonly console: 'serial' | 'novnc'
  readonly scheme?: 'http' | 'https'
}

async function startProxies({ apiPort, console, scheme }: ProxyOptions) {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const keyFile = join(folder.path, 'resume.key')
  await writeFile(keyFile, `${'k'.repeat(44)}\n${'o'.repeat(44)}\n`)
  const pki = scope.use(await temporaryPki())
  const tls = { cert: join(pki.path, 'server-cert.pem'), key_file: join(pki.path, 'server-key.pem') }
  const ports = [await freePort(), await freePort()] as const
  const start = async (port: number, name: string) => {
    const proxy = {
      authority: orielAuthority(apiPort, name),
      listen: [{ address: `127.0.0.1:${port}`, consoles: [console], ...(scheme === 'https' && { tls }) }],
      sessions: { resume_key_file: keyFile },
      origin: { trusted_proxies: ['127.0.0.1'], allowed: ['localhost'] },
    }
    const program = scope.use(await startApp('proxy', merge(proxyConfig(apiPort, port), proxy)))
    await listening(program)
    return program
  }
  const programs = [await start(ports[0], 'proxy-one'), await start(ports[1], 'proxy-two')]
  const rest = scope.move()
  return { ports, programs, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

/** Distributes single requests, and notices a killed proxy by its port. */
const balanced = (port: number, proxies: readonly number[]) => `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  option forwardfor
  option redispatch
frontend consoles
  bind 127.0.0.1:${port}
  default_backend proxies
backend proxies
  balance roundrobin
  default-server inter 200ms
${proxies.map((proxy, i) => `  server p${i} 127.0.0.1:${proxy} check\n`).join('')}`

async function mint(client: Client, type: 'serial' | 'novnc') {
  const body = { type, single_use: true, ttl_seconds: TOKEN_SECONDS }
  return (await client.oriel.createConsole({ server_id: SERVER, body })).console
}
