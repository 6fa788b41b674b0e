import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PresenceState } from '@oriel/contract'
import { closeReasons } from '@oriel/contract'
import { parseListen } from '@oriel/runtime'
import {
  connectPeer,
  type LogRecord,
  type NovaStub,
  type Peer,
  type RunningProgram,
  scriptedServer,
  startNovaStub,
  startProgram,
  temporaryFolder,
} from '@oriel/testkit'
import { keyEvent, updateRequest } from '@oriel/testkit/rfb-messages'
import { describe, expect, it } from 'vitest'
import { ADMIN_TOKEN, INSTANCE, OTHER_TOKEN, open, shakeThen, TOKEN, upgrade } from '../fixture.ts'
import { openPage } from '../presence/page-client.ts'

const file = fileURLToPath(new URL('../fixtures/proxy-program.ts', import.meta.url))

/** Long, because several processes load the program at once on a possibly busy machine. */
const STARTED = { timeoutMs: 60_000 }

interface FleetOptions {
  readonly workers?: number
  /** Lines of `[sessions]`. */
  readonly sessions?: string
  /** Further tables. */
  readonly toml?: string
  readonly consoles?: readonly string[]
  /** Plays the hypervisor after its handshake. Default: waits until the connection closes. */
  readonly guest?: (peer: Peer) => Promise<void>
}

const silent = (peer: Peer) => peer.closed({ timeoutMs: 60_000 })

/** `oriel-proxy` as a program of several processes, with a scripted hypervisor. */
async function fleet({
  workers = 2,
  sessions = '',
  toml = '',
  consoles = ['novnc'],
  guest = silent,
}: FleetOptions = {}) {
  await using opened = new AsyncDisposableStack()
  const hypervisor = opened.use(await scriptedServer((peer) => shakeThen(peer, guest)))
  const { host, port } = hypervisor
  const slot = { instance_uuid: INSTANCE, host, port }
  const nova = opened.use(
    await startNovaStub({ tokens: { [TOKEN]: slot, [OTHER_TOKEN]: slot }, adminToken: ADMIN_TOKEN }),
  )
  const folder = opened.use(await temporaryFolder())
  await writeFile(
    join(folder.path, 'proxy.toml'),
    programToml(nova, consoles, `workers = ${workers}\n${sessions}`, toml),
  )
  const program = opened.use(await start(folder.path))
  await program.waitForLog(({ msg }) => msg === (workers > 1 ? 'all workers accept connections' : 'listening'), STARTED)
  const admin = (await program.waitForLog(({ listener }) => listener === 'admin')).address as string
  const address = (await program.waitForLog(({ msg }) => msg === 'listening')).address as string
  const ask = (path: string, init?: RequestInit) => fetch(`http://${admin}${path}`, init)
  const list = async () => ((await (await ask('/sessions')).json()) as { sessions: { id: string }[] }).sessions
  const value = async (sample: string) => {
    const lines = (await (await ask('/metrics')).text()).split('\n')
    return Number(lines.find((line) => line.startsWith(`${sample} `))?.split(' ')[1])
  }
  const close = opened.move()
  return {
    ...{ nova, program, address, ask, list, value, hypervisor },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

const start = (folder: string): Promise<RunningProgram> =>
  startProgram({ file, nodeArgs: ['--conditions=@oriel/source'], args: ['--config', join(folder, 'proxy.toml')] })

const programToml = ({ url }: NovaStub, consoles: readonly string[], sessions: string, toml: string) => `
  [authority]
  endpoint = "${url}"
  auth = { method = "token", token = "${ADMIN_TOKEN}" }
  [[listen]]
  address = "127.0.0.1:0"
  consoles = ${JSON.stringify(consoles)}
  [admin]
  listen = "127.0.0.1:0"
  [hypervisor]
  identity = "off"
  [sessions]
  ${sessions}
  ${toml}`

const workersOf = (program: RunningProgram, msg: string) =>
  new Set(program.records.filter((record) => record.msg === msg).map(({ worker }) => worker))

describe('sessions.workers', { timeout: 120_000 }, () => {
  it('distributes consoles over processes, and the admin listener reports all of them', async () => {
    await using it = await fleet()
    const clients = await Promise.all(Array.from({ length: 6 }, () => open(it.address)))
    await expect.poll(it.list).toHaveLength(6)
    expect(workersOf(it.program, 'session opened')).toEqual(new Set([0, 1]))
    expect(await it.value('oriel_proxy_sessions{type="novnc",role="control"}')).toBe(6)
    expect(await it.value('oriel_proxy_workers')).toBe(2)
    expect(await it.value('oriel_proxy_dial_seconds_count{type="novnc",result="ok"}')).toBe(6)
    expect(await (await it.ask('/readyz')).json()).toEqual({
      status: 'ok',
      checks: { workers: 'ok', authority: 'ok' },
      protection: { novnc: expect.stringMatching(/^identity off: .*; validate fresh: /) },
    })
    const [{ id } = { id: '' }] = await it.list()
    expect((await it.ask(`/sessions/${id}`, { method: 'DELETE' })).status).toBe(204)
    await expect.poll(it.list).toHaveLength(5)
    expect((await it.ask(`/sessions/${id}`, { method: 'DELETE' })).status).toBe(404)
    for (const client of clients) client[Symbol.dispose]()
  })

  it('enforces limits over all processes, and releases slots', async () => {
    await using it = await fleet({ sessions: 'max_per_token = 3' })
    const clients = await Promise.all(Array.from({ length: 3 }, () => open(it.address)))
    for (let i = 0; i < 4; i += 1) expect((await upgrade(it.address)).status).toBe(429)
    using _other = await open(it.address, { path: `/?token=${OTHER_TOKEN}` })
    clients[0]!.ws.close()
    await clients[0]!.closed()
    const opens = () => open(it.address).then(close, (error: Error) => error.message)
    await expect.poll(opens).toBe('accepted')
    for (const client of clients) client[Symbol.dispose]()
  })

  it('lets a page come back through any process with a ticket from any other, until an operator ends its session', async () => {
    await using it = await fleet({ sessions: 'single_use = true' })
    const key = randomBytes(16).toString('base64url')
    const page = (text?: string) => ['binary', `oriel.page.${key}`, ...(text ? [`oriel.ticket.${text}`] : [])]
    const first = await open(it.address, { protocols: page() })
    const ask = () => fetch(`http://${it.address}/oriel.resume`, { method: 'POST', body: JSON.stringify({ key }) })
    const tickets: string[] = []
    for (let i = 0; i < 2; i += 1) tickets.push(((await (await ask()).json()) as { ticket: string }).ticket)
    first[Symbol.dispose]()
    const clients: Awaited<ReturnType<typeof open>>[] = []
    for (const ticket of [...tickets, ...tickets])
      clients.push(await open(it.address, { path: '/', protocols: page(ticket) }))
    const replaced = await Promise.all(clients.slice(0, -1).map((client) => client.closed()))
    expect(replaced.map(({ code }) => code)).toEqual([1, 2, 3].map(() => closeReasons.taken_over.code))
    await expect.poll(it.list).toHaveLength(1)
    expect(workersOf(it.program, 'session opened')).toEqual(new Set([0, 1]))
    for (const { id } of await it.list()) await it.ask(`/sessions/${id}`, { method: 'DELETE' })
    await Promise.all(clients.map((client) => client.closed()))
    // The end reaches the primary over one channel and a dial over another.
    const dialAgain = () =>
      open(it.address, { path: '/', protocols: page(tickets[0]) }).then(close, (e: Error) => e.message)
    await expect.poll(dialAgain).toBe('status 403')
    expect(await dialAgain()).toBe('status 403')
  })

  it('lets a viewer take a console over from a session in another process', async () => {
    await using it = await fleet({ sessions: 'share = "exclusive"' })
    const first = await open(it.address)
    const second = await open(it.address, { path: `/?token=${OTHER_TOKEN}&take_over=1` })
    expect((await first.closed()).code).toBe(closeReasons.taken_over.code)
    await expect.poll(it.list).toHaveLength(1)
    expect(workersOf(it.program, 'session opened')).toEqual(new Set([0, 1]))
    expect((await upgrade(it.address)).status).toBe(409)
    second[Symbol.dispose]()
  })

  it('bearer URLs: with single_use, refuses a token that another process has used', async () => {
    await using it = await fleet({ sessions: 'single_use = true' })
    using client = await open(it.address)
    client.ws.close()
    await client.closed()
    for (let i = 0; i < 4; i += 1) expect((await upgrade(it.address)).status).toBe(403)
    using _other = await open(it.address, { path: `/?token=${OTHER_TOKEN}` })
  })

  it('moves control between consoles of different processes, whichever process has their pages', async () => {
    const echo = async (peer: Peer): Promise<void> => {
      for (;;) await peer.send(await peer.read(1, { timeoutMs: 60_000 }))
    }
    await using it = await fleet({ guest: (peer) => echo(peer).catch(() => {}) })
    const keys = ['aaaaaaaaaaaaaaaaaaaaaA', 'bbbbbbbbbbbbbbbbbbbbbA'] as const
    using one = await open(it.address, { protocols: ['binary', `oriel.page.${keys[0]}`] })
    using two = await open(it.address, { protocols: ['binary', `oriel.page.${keys[1]}`] })
    expect(workersOf(it.program, 'session opened')).toEqual(new Set([0, 1]))
    for (const client of [one, two]) client.ws.send(Buffer.of(1))
    await Promise.all([one, two].map((client) => client.read(1)))
    /** A key, released so that the proxy need not do that when control moves. */
    const typed = Buffer.concat([keyEvent, Buffer.of(4, 0, 0, 0, 0, 0, 0, 97), updateRequest])
    const heldByOne = ({ control, you }: PresenceState) => control.held_by === you
    // Connections alternate between the processes, so each console's page is once in its own process and once in the other.
    for (const [key, holder, other] of [
      [keys[0], one, two],
      [keys[0], one, two],
      [keys[1], two, one],
    ] as const) {
      using page = await openPage(it.address, key)
      page.ws.send('{"type":"take_control"}')
      await page.state(heldByOne)
      for (const client of [holder, other]) client.ws.send(typed)
      expect(await holder.read(typed.length)).toEqual(typed)
      expect(await other.read(updateRequest.length)).toEqual(updateRequest)
    }
    const moved = it.program.records.filter(({ msg }) => msg === 'control of a console changed')
    expect(moved.map(({ how }) => how)).toEqual(['taken', 'taken'])
  })

  it('replaces a worker that dies, while other sessions continue, totals do not fall, and slots are released', async () => {
    await using it = await fleet({ sessions: 'max_total = 4' })
    const clients = await Promise.all(Array.from({ length: 4 }, () => open(it.address)))
    expect(await it.value('oriel_proxy_admissions_total{result="admitted"}')).toBe(4)
    const ofFirst = it.program.records.filter(({ msg, worker }) => msg === 'session opened' && worker === 0)
    const lost = ofFirst.length
    const listensAgain = again(it.program, 0)
    process.kill(ofFirst[0]!.pid as number, 'SIGKILL')
    const gone = await it.program.waitForLog(({ msg }) => msg === 'a worker died and is replaced')
    expect(gone).toMatchObject({ level: 'error', worker: 0, how: 'SIGKILL', lost })
    await it.program.waitForLog(listensAgain, STARTED)
    expect(await it.list()).toHaveLength(4 - lost)
    await expect.poll(() => it.value('oriel_proxy_workers')).toBe(2)
    expect(await it.value('oriel_proxy_admissions_total{result="admitted"}')).toBe(4)
    expect(await it.value('oriel_proxy_worker_deaths_total')).toBe(1)
    expect(await it.value('oriel_proxy_sessions{type="novnc",role="control"}')).toBe(4 - lost)
    const more = await Promise.all(Array.from({ length: lost }, () => open(it.address)))
    expect((await upgrade(it.address)).status).toBe(429)
    for (const client of [...clients, ...more]) client[Symbol.dispose]()
  })

  it('drains every process on SIGTERM, also when each receives it, and exits with 0', async () => {
    await using it = await fleet()
    const clients = await Promise.all(Array.from({ length: 4 }, () => open(it.address)))
    for (const pid of pidsOf(it.program)) process.kill(pid, 'SIGTERM')
    process.kill(it.program.pid, 'SIGTERM')
    for (const client of clients) expect((await client.closed()).code).toBe(1001)
    expect(await it.program.exited).toEqual({ code: 0, signal: null })
    expect(it.program.records.filter(({ msg }) => msg === 'session ended')).toHaveLength(4)
    expect(it.program.records.filter(({ level }) => level === 'fatal')).toEqual([])
  })

  it('closes all ports while it drains, with the admin listener’s', async () => {
    await using it = await fleet()
    using client = await open(it.address)
    client.ws.pause()
    process.kill(it.program.pid, 'SIGTERM')
    const readiness = () =>
      it.ask('/readyz').then(
        ({ status }) => status,
        () => 'refused',
      )
    await expect.poll(readiness).toBe('refused')
    await expect.poll(() => connectPeer(parseListen(it.address)).then(close, () => 'refused')).toBe('refused')
    client[Symbol.dispose]()
    expect(await it.program.exited).toEqual({ code: 0, signal: null })
  })

  it('exits with 1 when an address is in use, and leaves no process behind', async () => {
    await using it = await fleet()
    await using folder = await temporaryFolder()
    const toml = programToml(it.nova, ['novnc'], 'workers = 2', '').replace('127.0.0.1:0', it.address)
    await writeFile(join(folder.path, 'proxy.toml'), toml)
    await using second = await start(folder.path)
    expect(await second.exited).toEqual({ code: 1, signal: null })
    expect(JSON.stringify(second.records)).toContain(`cannot listen on ${it.address}`)
    for (const pid of pidsOf(second)) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  it('reports not ready when the authority fails for every process', async () => {
    await using it = await fleet()
    it.nova.behave(500)
    const readiness = async () => {
      // Each process must have failed recently: after a pause it would try again.
      for (let i = 0; i < 14; i += 1) await upgrade(it.address)
      const answer = await it.ask('/readyz')
      return [answer.status, await answer.json()]
    }
    await expect.poll(readiness).toMatchObject([503, { checks: { workers: 'ok', authority: 'failing' } }])
  })

  it('serves native SPICE only in the first process, so that every channel finds its ticket', async () => {
    await using it = await fleet({
      workers: 3,
      toml: '[[listen]]\naddress = "127.0.0.1:0"\nconsoles = ["spice-direct"]\n[spice]\nlisten = "127.0.0.1:0"',
    })
    const native = (record: LogRecord) => JSON.stringify(record.consoles) === '["spice-direct"]'
    const served = it.program.records.filter((record) => record.msg === 'listening' && native(record))
    expect(served.map(({ worker }) => worker)).toEqual([0, 0])
    const browser = it.program.records.filter((record) => record.msg === 'listening' && !native(record))
    expect(browser.map(({ worker }) => worker).sort()).toEqual([0, 1, 2])
  })
})

const close = (peer: { [Symbol.dispose](): void }) => {
  peer[Symbol.dispose]()
  return 'accepted'
}

/** Matches a later "listening" record of a worker that has listened before. */
function again(program: RunningProgram, worker: number) {
  const before = program.records.filter((record) => record.msg === 'listening' && record.worker === worker)
  return (record: LogRecord) => record.msg === 'listening' && record.worker === worker && !before.includes(record)
}

/** The workers' processes. */
const pidsOf = (program: RunningProgram) =>
  new Set(
    program.records
      .filter(({ worker, pid }) => worker !== undefined && pid !== undefined)
      .map(({ pid }) => Number(pid)),
  )
