/** Migrates a machine between two real QEMUs while its consoles are open, also in a real browser. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { closeReasons } from '@oriel/contract'
import {
  freePort,
  type NovaStub,
  type QemuGuest,
  type QemuOptions,
  requires,
  startNovaStub,
  startQemu,
  temporaryFolder,
} from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { tickingDisk } from './parts/counting-guest.ts'
import { listening, merge, type Pair, PROJECT, proxyConfig, startApp, startPair } from './parts/oriel.ts'
import { untilShows, untilTerminal } from './parts/page.ts'
import { mint, open } from './parts/sessions.ts'
import { connectNovnc, novncState, startNovncSite } from './parts/stock-novnc.ts'

const { skip, reason } = requires('qemu', 'chromium')
const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'

describe.skipIf(skip)(`a machine that is migrated to another real QEMU${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let browser: Browser

  beforeAll(async () => {
    browser = parts.use(await startChromium())
  })
  afterAll(() => parts.disposeAsync())

  it('ends its VNC session as moved once the console is at the other one, and opens there again', async () => {
    await using hosts = await twoHosts()
    await using oriel = await startOriel(hosts.folder)
    using session = await open(oriel.proxyPort, await mint(oriel.client, ID))
    await hosts.migrate()
    expect(await session.closed).toMatchObject({ code: closeReasons.moved.code })
    using again = await open(oriel.proxyPort, await mint(oriel.client, ID))
    expect(await viewersOf(hosts.target)).toBe(1)
    await again.close()
  }, 90_000)

  it('shows the page that has its console open the same machine at the other one', async () => {
    await using hosts = await twoHosts()
    await using oriel = await startOriel(hosts.folder)
    const page = await browser.newPage()
    await page.goto((await oriel.client.createConsole(ID, 'novnc')).url)
    await untilShows(page, hosts.source)
    await hosts.migrate()
    await expect.poll(() => viewersOf(hosts.target), { timeout: 30_000 }).toBe(1)
    await untilShows(page, hosts.target)
    const records = oriel.proxy.records.filter(({ msg }) => msg === 'session ended' || msg === 'session opened')
    expect(records.map(({ msg, reason: why }) => why ?? msg)).toEqual(['session opened', 'moved', 'session opened'])
    await page.close()
  }, 90_000)

  it('shows pages that it is switched off, which open its consoles again once it is on, if they are seen', async () => {
    await using folder = await temporaryFolder()
    const qmp = ['-qmp', `unix:${join(folder.path, 'web-1')}.qmp,server=on,wait=off`]
    // Each run is at other ports.
    const start = () => startQemu({ name: 'web-1', uuid: ID, serial: true, args: qmp })
    const first = await start()
    await using oriel = await startBoth(folder.path)
    const [vnc, serial] = [await browser.newPage(), await browser.newPage()]
    await vnc.goto((await oriel.client.createConsole(ID, 'novnc')).url)
    await serial.goto(await mintSerial(oriel))
    // The pages have tickets.
    for (const page of [vnc, serial]) await page.waitForURL((url) => !url.search.includes('token'))
    await first[Symbol.asyncDispose]()
    for (const page of [vnc, serial]) {
      await page.getByText('The machine is switched off.').waitFor()
      await page.locator('#status-text', { hasText: 'Switched off' }).waitFor()
    }
    await oriel.api.waitForLog(({ msg }) => msg === 'console tokens revoked')
    await vnc.evaluate(SEEN, false)
    await using second = await start()
    await connected(serial)
    expect(await vnc.locator('#status-text').textContent()).toBe('Switched off')
    await vnc.evaluate(SEEN, true)
    await connected(vnc)
    await untilShows(vnc, second)
    expect(oriel.proxy.records.filter(({ refusal }) => refusal === 'unknown_token')).toEqual([])
    for (const page of [vnc, serial]) await page.close()
  }, 90_000)

  it('ends the session of noVNC as published, which then opens a new console at the other one', async () => {
    await using hosts = await twoHosts()
    await using oriel = await startOriel(hosts.folder)
    await using site = await startNovncSite()
    const page = await browser.newPage()
    const address = async () => `ws://127.0.0.1:${oriel.proxyPort}/websockify?token=${await mint(oriel.client, ID)}`
    await connectNovnc(page, site, await address())
    await untilShows(page, hosts.source)
    await hosts.migrate()
    await expect.poll(() => novncState(page), { timeout: 30_000 }).toBe('disconnected')
    await connectNovnc(page, site, await address())
    await untilShows(page, hosts.target)
    await page.close()
  }, 90_000)

  it.each([
    ['', false],
    [', as does the proxy that stays attached', true],
  ])(
    'keeps its serial session and page open, which count on at the other one%s',
    async (_, standing) => {
      await using folder = await temporaryFolder()
      await using hosts = await twoHosts({ serial: true, args: await tickingDisk(folder.path) })
      await using oriel = await startOriel(hosts.folder, { port: await freePort(), standing })
      const url = await mintSerial(oriel)
      await using session = await view(url)
      const page = await browser.newPage()
      await page.goto((await mintSerial(oriel)).replace('ws://', 'http://').replace('/?', '/serial.html?'))
      await untilTerminal(page, /0000\d{4}\./)
      await session.until(/\d{8}\.\r\n/)
      await hosts.migrate()
      await session.until(MOVED)
      await session.type('x')
      await session.until(/\d{8}x\r\n/)
      expectCounting(session.text())
      expect(await untilTerminal(page, /\d{8}x/)).toMatch(/\[moved to another host\]/)
      const ends = oriel.proxy.records.filter(({ msg }) => msg === 'session ended')
      expect(ends).toEqual([])
      await page.close()
    },
    90_000,
  )

  it('keeps its serial port held by a proxy of several workers, whichever of them has opened it at the other one', async () => {
    await using folder = await temporaryFolder()
    await using hosts = await twoHosts({ serial: true, args: await tickingDisk(folder.path) })
    await using oriel = await startOriel(hosts.folder, { port: await freePort(), standing: false, workers: 2 })
    await using another = await startSecondProxy(oriel)
    await using scope = new AsyncDisposableStack()
    const byWorker = await viewInEveryWorker(oriel, scope)
    const sessions = byWorker.flat()
    await hosts.migrate()
    for (const session of sessions) await session.until(MOVED)
    for (const session of sessions) expectCounting(session.text())
    const [first, last] = byWorker
    for (const session of first!) await session[Symbol.asyncDispose]()
    await sessionsOnce(oriel, last!.length)
    expect(await another.statusOf(await mintSerial(oriel))).toBe(409)
    for (const session of last!) await session[Symbol.asyncDispose]()
    await expect.poll(async () => another.statusOf(await mintSerial(oriel)), { timeout: 20_000 }).toBe(101)
  }, 90_000)

  it('keeps its serial session open while Nova migrates it, and never dials the old port again', async () => {
    await using folder = await temporaryFolder()
    await using hosts = await twoHosts({ serial: true, args: await tickingDisk(folder.path) })
    await using nova = await startPlayedNova(hosts.source)
    await using session = await view(nova.url)
    await session.until(/\d{8}\.\r\n/)
    nova.migrating()
    await hosts.migrate()
    await using squatter = await listenAt(hosts.source.serialPort!)
    await session.until(/\d{8}\.\r\n/)
    const asked = nova.requests.length
    await expect.poll(() => nova.requests.length).toBeGreaterThan(asked)
    nova.arrived(hosts.target)
    await session.until(MOVED)
    await session.type('x')
    await session.until(/\d{8}x\r\n/)
    expectCounting(session.text())
    expect(squatter.connections()).toBe(0)
  }, 90_000)
})

/** Lets the browser say whether the page is seen. */
const SEEN = (isSeen: boolean) => {
  const page = globalThis as unknown as { document: EventTarget & { visibilityState: string } }
  Object.defineProperty(page.document, 'visibilityState', { value: isSeen ? 'visible' : 'hidden', configurable: true })
  page.document.dispatchEvent(new Event('visibilitychange'))
}

const connected = (page: Page) => page.locator('#status-text', { hasText: /^Connected/ }).waitFor()

const MOVED = /\[moved to another host\]\r\n[\s\S]*\d{8}.\r\n/

/** Starts two QEMUs for one machine, of which the second waits for the state of the first. */
async function twoHosts(machine: Partial<QemuOptions> = {}) {
  await using opened = new AsyncDisposableStack()
  const { path: folder } = opened.use(await temporaryFolder())
  const uri = `tcp:127.0.0.1:${await freePort()}`
  const start = (name: string, args: readonly string[] = []) =>
    startQemu({
      ...{ name: 'web-1', uuid: ID, ...machine },
      args: ['-qmp', `unix:${join(folder, name)}.qmp,server=on,wait=off`, ...(machine.args ?? []), ...args],
    })
  const source = opened.use(await start('a'))
  const target = opened.use(await start('b', ['-incoming', uri]))
  const close = opened.move()
  return {
    ...{ folder, source, target },
    /** Migrates, and ends the first QEMU like libvirt once the second one runs. */
    migrate: async () => {
      await source.qmp('migrate', { uri })
      await expect.poll(() => target.qmp('query-status'), { timeout: 30_000 }).toMatchObject({ status: 'running' })
      await source.qmp('quit').catch(() => {})
      await source.exited
    },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

/** @param serial the listener for serial consoles. Default: there is none */
async function startOriel(
  folder: string,
  serial?: { readonly port: number; readonly standing: boolean; readonly workers?: number },
): Promise<Pair> {
  const oriel = await startPair({
    servers: [],
    api: {
      sources: [sourceIn(folder)],
      ...(serial && { consoles: { serial: { base_url: `ws://127.0.0.1:${serial.port}/` } } }),
    },
    proxy: {
      authority: { kind: 'oriel' },
      hypervisor: { identity: 'enforce' },
      ...(serial && {
        listen: [{ address: `127.0.0.1:${serial.port}`, consoles: ['serial'] }],
        consoles: { serial: { standing: serial.standing } },
        sessions: { workers: serial.workers ?? 1 },
      }),
    },
  })
  await listed(oriel)
  return oriel
}

/** Starts a pair whose addresses lead to the pages of VNC and serial consoles, and which soon takes a stop for one. */
async function startBoth(folder: string): Promise<Pair> {
  const port = await freePort()
  const at = (path: string) => ({ base_url: `http://127.0.0.1:${port}/${path}` })
  const oriel = await startPair({
    servers: [],
    api: {
      sources: [{ ...sourceIn(folder), restart_seconds: 0.2 }],
      consoles: { novnc: at('novnc/vnc_lite.html'), serial: at('serial/serial.html') },
    },
    proxy: {
      authority: { kind: 'oriel' },
      hypervisor: { identity: 'enforce' },
      listen: [{ address: `127.0.0.1:${port}`, consoles: ['novnc', 'serial'] }],
    },
  })
  await listed(oriel)
  return oriel
}

const sourceIn = (folder: string) => ({
  ...{ kind: 'qemu', qmp: join(folder, '*.qmp'), host: '127.0.0.1', answer_timeout_ms: 15_000 },
  project_id: PROJECT,
})

async function listed({ client }: Pair): Promise<void> {
  const names = async () => (await client.at('2.99').listServers()).servers.map(({ name }) => name)
  await expect.poll(names, { timeout: 20_000 }).toEqual(['web-1'])
}

async function viewersOf(guest: QemuGuest): Promise<number> {
  const { clients = [] } = (await guest.qmp('query-vnc')) as { clients?: readonly unknown[] }
  return clients.length
}

async function mintSerial({ client }: Pair): Promise<string> {
  const body = { remote_console: { protocol: 'serial', type: 'serial' } } as const
  return (await client.at('2.6').createRemoteConsole({ server_id: ID, body })).remote_console.url
}

/** Opens the serial console until each of two workers has a session of it. Returns the sessions of each. */
async function viewInEveryWorker(oriel: Pair, scope: AsyncDisposableStack) {
  const byWorker = new Map<unknown, Awaited<ReturnType<typeof view>>[]>()
  const opened = () => oriel.proxy.records.filter(({ msg }) => msg === 'session opened')
  for (let count = 1; byWorker.size < 2; count += 1) {
    const session = scope.use(await view(await mintSerial(oriel)))
    await expect.poll(() => opened().length).toBe(count)
    const { worker } = opened().at(-1)!
    byWorker.set(worker, [...(byWorker.get(worker) ?? []), session])
    await session.until(/\d{8}\.\r\n/)
  }
  return [...byWorker.values()]
}

const sessionsOnce = ({ client }: Pair, count: number) =>
  expect
    .poll(async () => (await client.oriel.listSessions({ query: { state: 'open' } })).sessions.length, {
      timeout: 20_000,
    })
    .toBe(count)

async function startSecondProxy({ apiPort }: Pair) {
  const port = await freePort()
  const toml = { authority: { kind: 'oriel' }, listen: [{ address: `127.0.0.1:${port}`, consoles: ['serial'] }] }
  const proxy = await startApp('proxy', merge(proxyConfig(apiPort, port), toml))
  await listening(proxy)
  return {
    /** Returns the status with which the proxy answers a dial of the address. */
    async statusOf(url: string): Promise<number> {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/${new URL(url).search}`, ['binary']).on('error', () => {})
      const refused = once(socket, 'unexpected-response').then(([, answer]) => answer.statusCode as number)
      const status = await Promise.race([once(socket, 'open').then(() => 101), refused])
      socket.terminate()
      return status
    },
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  }
}

/** A session of a plain client. */
async function view(url: string) {
  const socket = new WebSocket(url, ['binary'])
  let text = ''
  let news = Promise.withResolvers<void>()
  const closed = once(socket, 'close').then(([code]) => {
    throw new Error(`closed with ${code} after ${JSON.stringify(text.slice(-200))}`)
  })
  closed.catch(() => {})
  socket.on('message', (data: Buffer) => {
    text += data.toString('latin1')
    news.resolve()
    news = Promise.withResolvers()
  })
  await once(socket, 'open')
  return {
    text: () => text,
    type: (input: string) => new Promise((sent) => socket.send(input, sent)),
    async until(pattern: RegExp) {
      while (!pattern.test(text)) await Promise.race([news.promise, closed])
    },
    async [Symbol.asyncDispose]() {
      socket.terminate()
    },
  }
}

/**
 * Expects that the counter has no gap and no double, except for the numbers that the guest printed before the proxy was back:
 * QEMU drops what is printed without a connection.
 */
function expectCounting(text: string): void {
  const [before = '', after = '', ...more] = text.split('\r[moved to another host]\r\n')
  expect(more).toEqual([])
  const [old, now] = [numbersIn(before), numbersIn(after)]
  for (const numbers of [old, now]) expect(numbers).toEqual(numbers.map((_, at) => numbers[0]! + at))
  expect(now[0]).toBeGreaterThan(old.at(-1)!)
}

const numbersIn = (text: string) => [...text.matchAll(/^(\d{8}).\r$/gm)].map(([, digits]) => Number(digits))

/** A Nova that migrates the machine, and a proxy in front of it. */
async function startPlayedNova(source: QemuGuest) {
  await using opened = new AsyncDisposableStack()
  const [token, port, adminToken] = [randomUUID(), await freePort(), 'service-secret']
  const console = { instance_uuid: ID, host: source.host, port: source.serialPort! }
  const nova: NovaStub = opened.use(await startNovaStub({ tokens: { [token]: console }, adminToken }))
  const at = ({ host, serialPort }: QemuGuest) => ({ name: 'web-1', consoles: { serial: { host, port: serialPort! } } })
  nova.servers.set(ID, at(source))
  const proxy = merge(proxyConfig(nova.port, port), {
    authority: { endpoint: nova.url, renew: true, auth: { token: adminToken } },
    listen: [{ address: `127.0.0.1:${port}`, consoles: ['serial'] }],
  })
  await listening(opened.use(await startApp('proxy', proxy)))
  const close = opened.move()
  return {
    url: `ws://127.0.0.1:${port}/?token=${token}`,
    requests: nova.requests,
    migrating: () => void nova.servers.set(ID, { name: 'web-1', taskState: 'migrating', consoles: { serial: 409 } }),
    arrived: (target: QemuGuest) => {
      nova.tokens.clear()
      nova.servers.set(ID, at(target))
    },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

/** Counts the connections to a port that a guest has left. */
async function listenAt(port: number) {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.destroy()
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { connections: () => connections, [Symbol.asyncDispose]: async () => void server.close() }
}
