/** Viewers of one serial port of a real QEMU at two proxies, of which one can have the port open. */
import { once } from 'node:events'
import type { Client, Session } from '@oriel/sdk'
import { type CloseReason, closeReason } from '@oriel/sdk/close-reasons'
import { freePort, type QemuGuest, type RunningProgram, requires } from '@oriel/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type BeatGate, startBeatGate, withinOneBeat } from './parts/beat-gate.ts'
import { countedLines, LINES, startCountingGuest } from './parts/counting-guest.ts'
import { apiConfig, listening, MEMBER_TOKEN, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { BEAT_SECONDS, clientOf, orielAuthority, sessionsOnce } from './parts/sessions.ts'

const { skip, reason } = requires('qemu')
const SERVER = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c03'

describe.skipIf(skip)(`a serial port of a real QEMU guest at two proxies${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let guest: QemuGuest
  let site: Site
  let printed = 0

  beforeAll(async () => {
    guest = parts.use(await startCountingGuest('counts-2', SERVER))
    site = parts.use(await startSite(guest))
  })
  afterAll(() => parts.disposeAsync())
  beforeEach(() => sessionsOnce(openSessions, ({ length }) => length === 0))

  const openSessions = async (): Promise<readonly Session[]> =>
    (await site.client.oriel.listSessions({ query: { state: 'open' } })).sessions

  /** Makes the guest print its next lines, and waits until the viewer has them. */
  async function types(viewer: Viewer): Promise<void> {
    viewer.socket.send('x')
    printed += LINES
    const all = countedLines(printed)
    const line = all.trimEnd().split('\n').at(-1)!
    await viewer.shows(line)
  }

  it('is shown by the proxy that dialled it first, and the other one names who has it', async () => {
    using first = await site.view(0, { label: 'Zoë' })
    await types(first)
    using joined = await site.view(0)
    await types(joined)
    expect(await site.refused(1)).toMatchObject({ refusal: 'in_use', by: 'Zoë' })
    await types(first)
  })

  it('goes to a viewer at the other proxy who takes it over, within a heartbeat of the first proxy', async () => {
    using first = await site.view(0)
    using joined = await site.view(0)
    await types(first)
    const takeOver = async () => {
      taking = site.view(1, { takeOver: true })
      await site.api.waitForLog(({ audit }) => audit === 'taken-over')
    }
    let taking: Promise<Viewer> | undefined
    const ended = Promise.all([first.closed, joined.closed])
    expect(await withinOneBeat(site.proxies[0]!.gate, takeOver, ended)).toEqual([4010, 4010])
    using second = await taking!
    await types(second)
    expect(await site.refused(0)).toMatchObject({ refusal: 'in_use' })
  })

  it('is not taken over by a watcher', async () => {
    using first = await site.view(0)
    expect(await site.refused(1, { role: 'watch', takeOver: true })).toMatchObject({
      ...{ refusal: 'in_use', watches: true },
    })
    await types(first)
  })

  it('is dialled by one of two proxies that are asked at the same time', async () => {
    const outcomes = await Promise.allSettled([site.view(0), site.view(1)])
    const viewers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(viewers).toHaveLength(1)
    using viewer = viewers[0]!
    await types(viewer)
  })

  it('is free at once for the other proxy when its last viewer has left', async () => {
    {
      using first = await site.view(0)
      await types(first)
    }
    await expect
      .poll(() => site.view(1).then((viewer) => viewer[Symbol.dispose](), String), { timeout: 10_000 })
      .toBeUndefined()
  })

  it('is held by a proxy of several workers until the last viewer in any of them has left', async () => {
    const workers = 2 // the index of the proxy with two workers, which have a name each
    const viewers = new Map<unknown, Viewer[]>()
    const opened = () => site.proxies[workers]!.program.records.filter(({ msg }) => msg === 'session opened')
    for (let count = 1; viewers.size < 2; count += 1) {
      const viewer = await site.view(workers)
      await expect.poll(() => opened().length).toBe(count)
      const { worker } = opened().at(-1)!
      viewers.set(worker, [...(viewers.get(worker) ?? []), viewer])
    }
    const [dialler, others] = [...viewers.values()]
    await types(others![0]!)
    for (const viewer of dialler!) viewer[Symbol.dispose]()
    await sessionsOnce(openSessions, ({ length }) => length === others!.length)
    expect(await site.refused(1)).toMatchObject({ refusal: 'in_use' })
    await types(others![0]!)
    for (const viewer of others!) viewer[Symbol.dispose]()
    await expect
      .poll(() => site.view(1).then((viewer) => viewer[Symbol.dispose](), String), { timeout: 10_000 })
      .toBeUndefined()
  })

  it('is free for the other proxy when the first one is killed, also for a viewer who takes it over', async () => {
    using first = await site.view(0)
    await types(first)
    const dead = site.proxies[0]!
    process.kill(dead.program.pid, 'SIGKILL')
    await dead.program.exited
    expect(await site.refused(1)).toMatchObject({ refusal: 'in_use' })
    using second = await site.view(1, { takeOver: true })
    await types(second)
  })
})

interface Viewer extends Disposable {
  readonly socket: WebSocket
  /** Resolves with the close code. */
  readonly closed: Promise<number>
  /** Resolves once the output contains the text. */
  shows(text: string): Promise<void>
}

interface Viewing {
  readonly role?: 'control' | 'watch'
  readonly label?: string
  readonly takeOver?: boolean
}

/** The last one has two workers. */
type ProxyIndex = 0 | 1 | 2

interface Site extends AsyncDisposable {
  readonly api: RunningProgram
  readonly client: Client
  readonly proxies: readonly { readonly program: RunningProgram; readonly gate: BeatGate }[]
  /** Opens the port through a proxy. @throws Error if the proxy refuses */
  view(proxy: ProxyIndex, viewing?: Viewing): Promise<Viewer>
  /** Returns the proxy's refusal to open the port. */
  refused(proxy: ProxyIndex, viewing?: Viewing): Promise<CloseReason | undefined>
}

async function startSite({ host, serialPort }: QemuGuest): Promise<Site> {
  await using scope = new AsyncDisposableStack()
  const apiPort = await freePort()
  const ports = [await freePort(), await freePort(), await freePort()]
  const servers = [{ id: SERVER, name: 'counts-2', consoles: { serial: { host, port: serialPort } } }]
  const consoles = { serial: { base_url: `ws://127.0.0.1:${ports[0]}/` } }
  const own = { consoles, sessions: { beat_seconds: BEAT_SECONDS } }
  const api = scope.use(await startApp('api', merge(apiConfig(apiPort, ports[0]!, servers), own)))
  await listening(api)
  const proxies = []
  for (const [i, name] of ['proxy-one', 'proxy-two', 'proxy-workers'].entries()) {
    const gate = scope.use(await startBeatGate(apiPort))
    const listen = [{ address: `127.0.0.1:${ports[i]}`, consoles: ['serial'] }]
    const toml = merge(proxyConfig(apiPort, ports[i]!), {
      authority: orielAuthority(gate.port, name),
      ...(name === 'proxy-workers' && { sessions: { workers: 2 } }),
      listen,
    })
    const program = scope.use(await startApp('proxy', toml))
    await listening(program)
    proxies.push({ program, gate })
  }
  const client = clientOf(apiPort, MEMBER_TOKEN)
  const dial = async (proxy: ProxyIndex, { takeOver = false, ...options }: Viewing = {}) => {
    const body = { type: 'serial', ...options } as const
    const { search } = new URL((await client.oriel.createConsole({ server_id: SERVER, body })).console.url)
    const query = `${search}${takeOver ? '&take_over=1' : ''}`
    return new WebSocket(`ws://127.0.0.1:${ports[proxy]}/${query}`, ['binary', 'oriel.refusals'])
  }
  const rest = scope.move()
  return {
    ...{ api, client, proxies },
    view: async (proxy, viewing) => viewerOf(await dial(proxy, viewing)),
    refused: async (proxy, viewing) => {
      const [code, text] = await once(await dial(proxy, viewing), 'close')
      return closeReason(code, String(text))
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

async function viewerOf(socket: WebSocket): Promise<Viewer> {
  let text = ''
  let news = Promise.withResolvers<void>()
  socket.on('message', (data: Buffer) => {
    text += data.toString('latin1')
    news.resolve()
    news = Promise.withResolvers()
  })
  const closed = once(socket, 'close').then(([code]) => code as number)
  await once(socket, 'open')
  if (socket.protocol !== 'binary') throw new Error(`the proxy closed with ${await closed}`)
  return {
    socket,
    closed,
    async shows(part) {
      while (!text.includes(part)) await news.promise
    },
    [Symbol.dispose]: () => socket.terminate(),
  }
}
