/** Sessions of a serial console whose machine moves to another host, through a proxy. */
import { closeReasons } from '@oriel/contract'
import { type Peer, type ScriptedServer, scriptedServer } from '@oriel/testkit'
import { describe, expect, it, vi } from 'vitest'
import type { Authority, Whereabouts } from '../../src/authority/authority.ts'
import { Refused } from '../../src/refused.ts'
import { dial, INSTANCE, OTHER_TOKEN, type Running, type RunOptions, running } from '../fixture.ts'

const MARK = '\r[moved to another host]\r\n'
const [MOVING, GONE] = [{ is: 'moving' }, { is: 'gone' }] as const
const other = { path: `/?token=${OTHER_TOKEN}` }

/** A host whose port greets each connection and echoes, until it closes. */
async function host(greeting: string) {
  const closes = Promise.withResolvers<void>()
  const server = await scriptedServer(async (peer: Peer) => {
    await peer.send(Buffer.from(greeting))
    peer.socket.pipe(peer.socket, { end: false })
    await Promise.race([closes.promise, peer.closed({ timeoutMs: 60_000 })])
    peer.end()
  })
  return Object.assign(server, { close: () => closes.resolve() })
}

const placeOf = ({ host: name, port }: ScriptedServer): Whereabouts => ({ is: 'at', host: name, port })

/** A machine that moves from a host to another, behind a proxy. */
async function machine(options: RunOptions = {}) {
  await using opened = new AsyncDisposableStack()
  const leaves = Promise.withResolvers<void>()
  const target = opened.use(await host('two\r\n'))
  let where: Whereabouts = MOVING
  const asked = Promise.withResolvers<void>()
  const it = opened.use(
    await running({
      consoles: ['serial'],
      hypervisor: async (peer) => {
        await peer.send(Buffer.from('one\r\n'))
        await leaves.promise
      },
      locate: async () => {
        asked.resolve()
        return where
      },
      moveTimes: { pauseMs: 1 },
      ...options,
    }),
  )
  const close = opened.move()
  return Object.assign(it, {
    target,
    /** Resolves during the pause. */
    asked: asked.promise,
    leave: () => leaves.resolve(),
    arrive: (at: Whereabouts = placeOf(target)) => {
      where = at
    },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  })
}

/** The proxy's counts of moves, as `type result count`. */
async function movesOf({ proxy }: Running): Promise<readonly string[]> {
  const text = await proxy.inside.registry.metrics()
  const lines = text.matchAll(/^oriel_proxy_moves_total\{type="(\w+)",result="(\w+)"\} (\d+)$/gm)
  return [...lines].map(([, ...parts]) => parts.join(' '))
}

const MOVED = `one\r\n${MARK}two\r\n`

describe('the sessions of a serial console whose machine moves', () => {
  it('go on at the new host, while the old address is never dialled again', async () => {
    await using it = await machine()
    using first = await dial(it.address)
    using second = await dial(it.address, other)
    it.leave()
    for (const client of [first, second]) await client.read(5)
    await it.asked
    first.ws.send('typed meanwhile\r')
    await expect.poll(() => it.proxy.sessions().map(({ bytesToConsole }) => bytesToConsole)).toContain(16)
    it.arrive()
    for (const client of [first, second]) {
      expect(String(await client.read(MOVED.length + 11))).toBe(`${MOVED.slice(5)}typed meanwhile\r`)
    }
    expect([it.hypervisor.connections, it.target.connections]).toEqual([1, 1])
    expect(it.log.records('session ended')).toEqual([])
    expect(it.log.records('the sessions of a console go on at the other host')).toMatchObject([
      { ...{ instance: INSTANCE, type: 'serial' }, from: addressOf(it.hypervisor), to: addressOf(it.target) },
    ])
  })

  it('are joined at the new host by one that opens the console there', async () => {
    await using it = await machine()
    using first = await dial(it.address)
    it.leave()
    it.arrive()
    await first.read(MOVED.length)
    const { host: name, port } = it.target
    it.nova.tokens.set(OTHER_TOKEN, { instance_uuid: INSTANCE, host: name, port })
    using second = await dial(it.address, other)
    expect(String(await second.read(MOVED.length))).toBe(MOVED)
    expect(it.target.connections).toBe(1)
  })

  it('end as the console did if the machine is gone, or does not arrive in time', async () => {
    for (const [place, deadlineMs] of [
      [GONE, 60_000],
      [MOVING, 20],
    ] as const) {
      await using it = await machine({ moveTimes: { pauseMs: 1, deadlineMs } })
      using client = await dial(it.address)
      it.leave()
      it.arrive(place)
      expect((await client.closed()).code).toBe(closeReasons.console_closed.code)
      expect(it.hypervisor.connections).toBe(1)
    }
  })

  it('end as moved if nobody listens at the new address', async () => {
    await using it = await machine()
    using client = await dial(it.address)
    await it.target[Symbol.asyncDispose]()
    it.leave()
    it.arrive()
    expect((await client.closed()).code).toBe(closeReasons.moved.code)
    expect(await movesOf(it)).toEqual(['serial arrived 1', 'serial failed 1'])
  })

  it('hold the console at the new host for a session that may go on, and release it with the last session', async () => {
    const released = vi.fn()
    const holdPort = vi.fn<NonNullable<Authority['holdPort']>>(async () => ({ [Symbol.dispose]: released }))
    const asked: string[] = []
    const it = await machine({
      holdPort,
      follow: async ({ sessionId }) => {
        asked.push(sessionId)
        if (asked.length === 1) throw new Error('revoked')
        return placeOf(it.target)
      },
    })
    await using _it = it
    using revoked = await dial(it.address)
    using stays = await dial(it.address, other)
    for (const client of [revoked, stays]) await client.read(5)
    it.leave()
    it.arrive()
    await stays.read(MOVED.length - 5)
    expect(holdPort.mock.calls.map(([claim]) => claim)).toEqual([{ sessionId: asked[1], takeOver: false }])
    expect(await movesOf(it)).toEqual(['serial arrived 1', 'serial followed 1'])
    expect(released).not.toHaveBeenCalled()
    stays.ws.close()
    await expect.poll(() => released.mock.calls.length).toBe(1)
  })

  it('end as moved if another proxy holds the console meanwhile', async () => {
    await using it = await machine({ holdPort: () => Promise.reject(new Refused('in_use', 'held')) })
    using client = await dial(it.address)
    it.leave()
    it.arrive()
    expect((await client.closed()).code).toBe(closeReasons.moved.code)
    await it.target.finished()
    expect(await movesOf(it)).toEqual(['serial arrived 1', 'serial failed 1'])
  })

  it('end as moved if the authority does not let them go on, each for itself', async () => {
    const asked: string[] = []
    const it = await machine({
      follow: async ({ sessionId }) => {
        asked.push(sessionId)
        if (asked.length === 1) throw new Error('revoked')
        return placeOf(it.target)
      },
    })
    await using _it = it
    using revoked = await dial(it.address)
    using stays = await dial(it.address, other)
    for (const client of [revoked, stays]) await client.read(5)
    it.leave()
    it.arrive()
    expect((await revoked.closed()).code).toBe(closeReasons.moved.code)
    expect(String(await stays.read(MOVED.length - 5))).toBe(MOVED.slice(5))
    expect(new Set(asked).size).toBe(2)
  })

  it('end as moved if the authority names yet another address for them', async () => {
    const it = await machine({ follow: async () => ({ is: 'at', host: '127.0.0.9', port: 1 }) })
    await using _it = it
    using client = await dial(it.address)
    it.leave()
    it.arrive()
    expect((await client.closed()).code).toBe(closeReasons.moved.code)
  })

  it('end as wrong_instance if another protocol answers at the new host', async () => {
    await using it = await machine({ toml: '[hypervisor]\nidentity = "enforce"' })
    await using vnc = await host('RFB 003.008\n')
    using client = await dial(it.address)
    it.leave()
    it.arrive(placeOf(vnc))
    expect((await client.closed()).code).toBe(closeReasons.wrong_instance.code)
  })
})

const addressOf = ({ host: name, port }: ScriptedServer) => `${name}:${port}`

describe('a serial console of a machine that Nova migrates', () => {
  it('goes on at the new host once Nova has finished, though its token is gone', async () => {
    await using it = await machine({ renew: true, locate: undefined })
    const server = { name: 'web-1', instanceName: 'instance-0000002a' }
    const consoleAt = ({ host: name, port }: ScriptedServer) => ({ serial: { host: name, port } })
    it.nova.servers.set(INSTANCE, { ...server, consoles: consoleAt(it.hypervisor) })
    using client = await dial(it.address)
    await client.read(5)
    it.nova.servers.set(INSTANCE, { ...server, taskState: 'migrating', consoles: { serial: 409 } })
    it.nova.tokens.clear()
    it.leave()
    const asked = () => it.nova.requests.filter(({ url }) => url === `/v2.1/servers/${INSTANCE}`).length
    await expect.poll(asked).toBeGreaterThan(1)
    it.nova.servers.set(INSTANCE, { ...server, consoles: consoleAt(it.target) })
    expect(String(await client.read(MOVED.length - 5))).toBe(MOVED.slice(5))
    expect([it.hypervisor.connections, it.target.connections]).toEqual([1, 1])
  })
})
