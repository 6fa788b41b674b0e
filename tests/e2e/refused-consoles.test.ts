/** The pages when a console does not open: in a real browser, with failing machines and a failing Nova. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import {
  freePort,
  type NovaStub,
  type RunningProgram,
  requires,
  type ScriptedServer,
  scriptedServer,
  startNovaStub,
} from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { listening, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { serveScreen } from './parts/rfb.ts'
import { connectNovnc, novncState, startNovncSite } from './parts/stock-novnc.ts'

const { skip, reason } = requires('chromium')

describe.skipIf(skip)(`a console page in Chromium${reason}`, () => {
  const parts = new AsyncDisposableStack()
  const ports: Record<'novnc' | 'spice' | 'serial', number> = { novnc: 0, spice: 0, serial: 0 }
  let browser: Browser
  let nova: NovaStub
  let machine: ScriptedServer
  let proxy: RunningProgram
  let page: Page
  let token: string

  beforeAll(async () => {
    browser = parts.use(await startChromium())
    machine = parts.use(await scriptedServer(serveScreen))
    nova = parts.use(await startNovaStub({ tokens: {}, adminToken: 'service-secret' }))
    Object.assign(ports, { novnc: await freePort(), spice: await freePort(), serial: await freePort() })
    proxy = await startProxy()
  })
  afterAll(async () => {
    await proxy.stop()
    await parts.disposeAsync()
  })
  beforeEach(async () => {
    token = randomUUID()
    nova.behave('answer')
    runs()
    page = await browser.newPage()
  })
  afterEach(() => page.close())

  async function startProxy(): Promise<RunningProgram> {
    const program = await startApp(
      'proxy',
      merge(proxyConfig(nova.port, ports.novnc), {
        authority: { auth: { token: 'service-secret' }, timeout_ms: 5_500 },
        hypervisor: { identity: 'off' },
        sessions: { drain_seconds: 1 },
        listen: [
          { address: `127.0.0.1:${ports.novnc}`, consoles: ['novnc'] },
          { address: `127.0.0.1:${ports.spice}`, consoles: ['spice-html5'] },
          { address: `127.0.0.1:${ports.serial}`, consoles: ['serial'] },
        ],
      }),
    )
    await listening(program, 3)
    return program
  }

  /** `runs` makes the token lead to the machine; `stops` makes it lead to a port without a listener. */
  const runs = () => nova.tokens.set(token, { instance_uuid: token, host: machine.host, port: machine.port })
  const stops = async () => nova.tokens.set(token, { instance_uuid: token, host: '127.0.0.1', port: await freePort() })

  const address = (port = ports.novnc) => `http://127.0.0.1:${port}/vnc_lite.html?path=%3Ftoken%3D${token}`
  const card = (tone: 'busy' | 'waiting' | 'ended') => page.locator(`.overlay[data-tone="${tone}"]`)
  const connected = () => page.getByText('Connected', { exact: true }).waitFor()
  const refusedAs = (refusal: string) =>
    proxy.records.filter((record) => record.msg === 'refused' && record.refusal === refusal).length

  it('shows that a stopped machine is unreachable, and opens the console once the machine runs', async () => {
    await stops()
    await page.goto(address())
    await card('waiting').getByText('The console of this machine cannot be reached.').waitFor()
    await card('waiting').getByText('Is the machine running? Trying again…').waitFor()
    runs()
    await connected()
  })

  it.each([
    ['novnc', 'vnc.html'],
    ['spice', 'spice_auto.html'],
    ['serial', 'serial.html'],
  ] as const)('of type %s does not retry with an unknown token', async (type, file) => {
    const earlier = refusedAs('unknown_token')
    await page.goto(`http://127.0.0.1:${ports[type]}/${file}?token=${randomUUID()}`)
    await card('ended').getByText('This console address is not valid or not valid any more.').waitFor()
    await card('ended').getByText('Go back to where you opened it and open a new console.').waitFor()
    await expect.poll(() => page.locator('.overlay button:visible').count()).toBe(0)
    expect(refusedAs('unknown_token') - earlier).toBe(1)
  })

  it('replaces an unknown token by the console that the portal creates, once without being asked', async () => {
    let minted = 0
    await page.exposeFunction('createConsole', () => {
      minted += 1
      return { url: minted === 2 ? `${address()}&minted=2` : address().replace(token, randomUUID()) }
    })
    await page.goto(address().replace(token, randomUUID()))
    await card('ended').waitFor()
    await useCreatedConsoles(page)
    await card('ended').getByText('This console address is not valid').waitFor()
    expect(minted).toBe(1)
    await page.getByRole('button', { name: 'New console' }).click()
    await connected()
    expect(minted).toBe(2)
  })

  it('says that a new console cannot be created, and asks again when told to', async () => {
    let failures = 1
    await page.exposeFunction('createConsole', () => {
      if (failures-- > 0) throw new Error('the portal is down')
      return { url: `${address()}&minted=1` }
    })
    await page.goto(address().replace(token, randomUUID()))
    await card('ended').waitFor()
    await useCreatedConsoles(page)
    await card('ended').getByText('A new console could not be created.').waitFor()
    await page.getByRole('button', { name: 'New console' }).click()
    await connected()
  })

  it('retries while the cloud does not answer, and opens the console once it does', async () => {
    nova.behave('hang')
    await page.goto(address())
    await card('busy').getByText('This takes longer than usual.').waitFor()
    await card('waiting').getByText('The service that knows this console does not answer.').waitFor()
    nova.behave('answer')
    await connected()
  })

  it('shows the origin to allow if a balancer changes the Host header', async () => {
    await using balancer = await startGateway(ports.novnc, { host: 'backend.internal' })
    await page.goto(address(balancer.port))
    await card('ended').getByText('This page may not open consoles here.').waitFor()
    await card('ended').getByText('origin.allowed = ["http://127.0.0.1"]').waitFor()
    const line = 'origin.allowed = ["http://127.0.0.1"]'
    await proxy.waitForLog((record) => record.level === 'warn' && record.line === line)
  })

  it('says that the proxy cannot be reached while a gateway answers for it, and opens the console after that', async () => {
    let isDown = true
    await using gateway = await startGateway(ports.novnc, { answersItself: () => isDown })
    await page.goto(address(gateway.port))
    await card('waiting').getByText('The console proxy cannot be reached.').waitFor()
    isDown = false
    await connected()
    // The gateway cannot close connections that carry a WebSocket.
    await page.goto('about:blank')
  })

  it('retries while the proxy restarts, and opens the console at the new process', async () => {
    nova.behave('hang')
    const asked = nova.requests.length
    await page.goto(address())
    await nova.requested(asked + 1)
    const stopped = proxy.stop()
    await card('waiting').getByText('The console proxy is restarting.').waitFor()
    await stopped
    nova.behave('answer')
    proxy = await startProxy()
    await connected()
  })

  it('retries while not even the code that asks for the reason can be loaded', async () => {
    nova.behave('hang')
    const asked = nova.requests.length
    await page.goto(address())
    await nova.requested(asked + 1)
    const refused = page.waitForEvent('requestfailed', (request) => request.url().includes('/assets/'))
    await proxy.stop()
    await refused
    await card('waiting').getByText('The console does not answer yet.').waitFor()
    nova.behave('answer')
    proxy = await startProxy()
    await connected()
  })

  it('says that the library which draws a SPICE screen cannot be loaded, and tries again', async () => {
    await page.route('**/spice-html5/**', (route) => route.fulfill({ status: 404 }))
    await page.goto(`http://127.0.0.1:${ports.spice}/spice_auto.html?token=${token}`)
    await card('waiting').getByText('A part of this page could not be loaded.').waitFor()
    await page.waitForRequest('**/spice-html5/**')
  })

  it('does not retry after the machine was deleted', async () => {
    await using doomed = await scriptedServer(serveScreen)
    nova.tokens.set(token, { instance_uuid: token, host: doomed.host, port: doomed.port })
    await page.goto(address())
    await connected()
    nova.tokens.delete(token)
    await doomed[Symbol.asyncDispose]()
    await card('ended').getByText('This console address is not valid or not valid any more.').waitFor()
    await card('ended').getByText('Go back to where you opened it and open a new console.').waitFor()
  })

  it('reconnects automatically after the machine has moved to another port', async () => {
    await using doomed = await scriptedServer(serveScreen)
    nova.tokens.set(token, { instance_uuid: token, host: doomed.host, port: doomed.port })
    await page.goto(address())
    await connected()
    await stops()
    await doomed[Symbol.asyncDispose]()
    await card('waiting').getByText('The console of this machine cannot be reached.').waitFor()
    runs()
    await connected()
  })

  it('of stock noVNC gets an HTTP status for an unknown token, and opens with a valid one', async () => {
    await using site = await startNovncSite()
    await connectNovnc(page, site, `ws://127.0.0.1:${ports.novnc}/?token=${token}`)
    await expect.poll(() => novncState(page)).toBe('connected')
    const failed = new Promise<string>((resolve) =>
      page.on('console', (message) => {
        if (/Unexpected response code/.test(message.text())) resolve(message.text())
      }),
    )
    await connectNovnc(page, site, `ws://127.0.0.1:${ports.novnc}/?token=${randomUUID()}`)
    await expect.poll(() => novncState(page)).toBe('lost')
    expect(await failed).toContain('Unexpected response code: 403')
  })
})

interface GatewayOptions {
  /** The Host header that the proxy gets, because nginx changes it by default. Default: that of the browser. */
  readonly host?: string
  /** Whether it answers for the proxy with a page of its own, to all but requests for pages. */
  readonly answersItself?: () => boolean
}

/** Starts a gateway that forwards to `port`. */
async function startGateway(port: number, { host, answersItself = () => false }: GatewayOptions) {
  const badGateway = '<h1>502 Bad Gateway</h1>'
  const server = createServer(async ({ url = '/', headers: { accept } }, response) => {
    if (answersItself() && accept === 'application/json')
      return void response.writeHead(502, { 'Content-Type': 'text/html' }).end(badGateway)
    const answer = await fetch(`http://127.0.0.1:${port}${url}`)
    const headers = ['content-type', 'content-security-policy'].map((name) => [name, answer.headers.get(name) ?? ''])
    response.writeHead(answer.status, Object.fromEntries(headers)).end(Buffer.from(await answer.arrayBuffer()))
  }).listen(0, '127.0.0.1')
  server.on('upgrade', ({ method, url, rawHeaders }, socket) => {
    if (answersItself())
      return void socket.end(`HTTP/1.1 502 Bad Gateway\r\nContent-Length: ${badGateway.length}\r\n\r\n${badGateway}`)
    const lines = rawHeaders.flatMap((name, i) => {
      if (i % 2 === 1) return []
      return [`${name}: ${(name.toLowerCase() === 'host' ? host : undefined) ?? rawHeaders[i + 1]}`]
    })
    const backend = connect({ port, host: '127.0.0.1' })
    backend.write([`${method} ${url} HTTP/1.1`, ...lines, '', ''].join('\r\n'))
    for (const end of [socket, backend]) end.on('error', () => {})
    socket.pipe(backend).pipe(socket)
  })
  return serving(server)
}

async function serving(server: ReturnType<typeof createServer>) {
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await server[Symbol.asyncDispose]()
    },
  }
}

interface ConsoleElement {
  mint: () => Promise<{ readonly url: string }>
  reconnectNow(): void
}

/** Makes the element create consoles with the page's function `createConsole`, and dial its dead address again. */
const useCreatedConsoles = (page: Page) =>
  page.locator('oriel-vnc').evaluate((screen) => {
    const { createConsole } = globalThis as unknown as { createConsole: ConsoleElement['mint'] }
    const element = screen as unknown as ConsoleElement
    element.mint = () => createConsole()
    element.reconnectNow()
  })
