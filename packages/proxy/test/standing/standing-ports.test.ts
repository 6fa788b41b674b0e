/** A proxy that stays attached to serial ports, with a played authority and played ports. */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { Admission, Authority, StandingPort, StandingPorts } from '../../src/authority/authority.ts'
import { createProxy, Refused } from '../../src/index.ts'
import { capture, configOf, dial, INSTANCE, OTHER_TOKEN } from '../fixture.ts'

const OTHER = '52b2e44e-e561-464c-88f3-2fc6a1ecea2c'

/** A serial port that serves one connection at a time, as QEMU's does, and greets each. */
async function playPort(greeting = 'SeaBIOS\r\n') {
  const sockets: Socket[] = []
  let news = Promise.withResolvers<void>()
  const accept = (socket: Socket) => {
    sockets.push(socket)
    socket.on('error', () => {}).resume()
    socket.write(greeting)
    news.resolve()
    news = Promise.withResolvers()
  }
  const listening = async (port: number) => {
    const server = createServer(accept).listen(port, '127.0.0.1')
    await once(server, 'listening')
    return server
  }
  let server = await listening(0)
  const { port } = server.address() as AddressInfo
  const stop = async () => {
    server.close()
    for (const socket of sockets) socket.end()
    await once(server, 'close')
  }
  return {
    port,
    sockets,
    stop,
    start: async () => {
      server = await listening(port)
    },
    connected: async (count: number) => {
      while (sockets.length < count) await news.promise
      return sockets[count - 1]!
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
type Port = Awaited<ReturnType<typeof playPort>>

/** An authority whose ports the test changes. */
function playDirectory() {
  let current: StandingPorts = { version: '0', ports: [], wantedLogs: [] }
  let news = Promise.withResolvers<void>()
  const played = {
    confirmed: 0,
    released: 0,
    /** Replaces the answer to a confirmation. */
    confirming: undefined as ((port: StandingPort) => StandingPort) | undefined,
    failing: undefined as Error | undefined,
    name(...ports: StandingPort[]) {
      change({ ports, wantedLogs: [] })
    },
    want(instance: string, askId: string) {
      change({ ports: current.ports, wantedLogs: [{ instance, askId }] })
    },
    reports: [] as string[],
    /** The instances whose port is held, and the releases. */
    held: [] as string[],
  }
  function change(next: Omit<StandingPorts, 'version'>) {
    current = { version: `${Number(current.version) + 1}`, ...next }
    news.resolve()
    news = Promise.withResolvers()
  }
  const directory: NonNullable<Authority['standingPorts']> = {
    async awaitPorts(version, signal) {
      const aborted = once(signal, 'abort')
      while (current.version === version) {
        await Promise.race([news.promise, aborted])
        signal.throwIfAborted()
      }
      if (played.failing) throw played.failing
      return current
    },
    async confirm(instance) {
      played.confirmed += 1
      const found = current.ports.find(({ admission }) => admission.instance === instance)
      if (!found) throw new Error('not for this proxy')
      return played.confirming?.(found) ?? found
    },
    async report({ instance, askId }, output) {
      played.reports.push(`${instance} ${askId} ${output}`)
    },
    async release() {
      played.released += 1
    },
  }
  return { directory, played }
}

const portAt = ({ port }: Pick<Port, 'port'>, changes: Partial<Admission> = {}, projectId = 'p'): StandingPort => ({
  admission: { instance: INSTANCE, host: '127.0.0.1', port, ...changes },
  projectId,
})

async function started(port: Port, toml = '', maxPorts = 1000) {
  const { directory, played } = playDirectory()
  const authority: Authority = {
    health: { name: 'played', check: () => {} },
    admit: async () => ({ instance: INSTANCE, host: '127.0.0.1', port: port.port, role: 'control' }),
    standingPorts: directory,
    holdPort: async (claim) => {
      played.held.push('instance' in claim ? claim.instance : claim.sessionId)
      return { [Symbol.dispose]: () => void played.held.push('released') }
    },
    [Symbol.asyncDispose]: async () => {},
  }
  const given = configOf('http://127.0.0.1:9', toml, '127.0.0.1:0', ['serial'])
  const serial = { ...given.consoles.serial, standing: true, standing_ports: maxPorts }
  const config = { ...given, consoles: { ...given.consoles, serial } }
  const log = capture()
  const times = { firstPauseMs: 1, maxPauseMs: 1, slowPauseMs: 1, restartMs: 60_000 }
  const proxy = await createProxy({ config, authority, log: log.logger, standingTimes: times })
  const { registry } = proxy.inside
  const counts = async () => {
    const text = await registry.getSingleMetricAsString('oriel_proxy_standing_ports')
    return Object.fromEntries([...text.matchAll(/\{state="(\w+)"\} (\d+)/g)].map(([, state, n]) => [state, Number(n)]))
  }
  return {
    ...{ played, proxy, log, counts, address: proxy.listeners[0]!.address },
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  }
}

/** A socket that the proxy resets reports an error, too. */
const closed = (socket: Socket) =>
  socket.closed ? undefined : new Promise<void>((resolve) => void socket.once('close', () => resolve()))

const untilText = async (client: Awaited<ReturnType<typeof dial>>, fits: RegExp) => {
  let text = ''
  while (!fits.test(text)) text += String(await client.read(1))
  return text
}

describe('a proxy with standing serial ports', () => {
  it('attaches once the authority names a port, and shows a later viewer the first byte', async () => {
    await using port = await playPort()
    await using run = await started(port)
    run.played.name(portAt(port))
    const socket = await port.connected(1)
    await expect.poll(run.counts).toEqual({ attached: 1, detached: 0 })
    socket.write('login: ')
    using viewer = await dial(run.address)
    expect(await untilText(viewer, /login: $/)).toBe('SeaBIOS\r\nlogin: ')
    expect(port.sockets).toHaveLength(1)
    expect(run.played.confirmed).toBe(1)
  })

  it('counts no standing port as a session, and leaves the limits to viewers', async () => {
    await using port = await playPort()
    await using run = await started(port, '[sessions]\nmax_per_instance = 1')
    run.played.name(portAt(port))
    await port.connected(1)
    expect(run.proxy.sessions()).toEqual([])
    using _viewer = await dial(run.address)
    expect(run.proxy.sessions()).toHaveLength(1)
  })

  it('keeps viewers while the machine restarts in place, and shows them the new output', async () => {
    await using port = await playPort()
    await using run = await started(port)
    run.played.name(portAt(port))
    await port.connected(1)
    using viewer = await dial(run.address)
    await untilText(viewer, /SeaBIOS\r\n/)
    await port.stop()
    expect(await untilText(viewer, /\]\r\n/)).toBe('\r\n[oriel: the machine closed its serial port]\r\n')
    await expect.poll(run.counts).toEqual({ attached: 0, detached: 1 })
    await port.start()
    expect(await untilText(viewer, /SeaBIOS\r\n/)).toBe('\r\n[oriel: the machine restarted]\r\nSeaBIOS\r\n')
    expect(run.proxy.sessions()).toHaveLength(1)
    await expect.poll(run.counts).toEqual({ attached: 1, detached: 0 })
  })

  it('ends the viewers of a restarting machine once the port is no longer its to hold', async () => {
    await using port = await playPort()
    await using run = await started(port)
    run.played.name(portAt(port))
    await port.connected(1)
    using viewer = await dial(run.address)
    await untilText(viewer, /SeaBIOS\r\n/)
    await port.stop()
    await untilText(viewer, /closed its serial port/)
    run.played.name()
    await expect.poll(() => run.proxy.sessions()).toEqual([])
  })

  it('attaches without a viewer after each restart', async () => {
    await using port = await playPort()
    await using run = await started(port)
    run.played.name(portAt(port))
    for (const count of [1, 2, 3]) {
      await port.connected(count)
      await port.stop()
      await port.start()
    }
    await port.connected(4)
  })

  it.each<[string, (port: StandingPort) => StandingPort]>([
    ['has another owner', (port) => ({ ...port, projectId: 'q' })],
    ['is elsewhere', ({ admission, projectId }) => ({ projectId, admission: { ...admission, port: 1 } })],
    [
      'is gone',
      () => {
        throw new Refused('console_moved', 'gone')
      },
    ],
  ])('reads nothing from a port whose server %s by now', async (_, confirming) => {
    await using port = await playPort()
    await using run = await started(port)
    run.played.confirming = confirming
    run.played.name(portAt(port))
    await port.connected(3)
    expect(await run.counts()).toEqual({ attached: 0, detached: 1 })
    expect(run.log.records('a serial port cannot be opened, trying again')).toHaveLength(1)
  })

  it('shows the output of a server to no viewer of its next owner', async () => {
    await using port = await playPort('secret\r\n')
    await using run = await started(port)
    run.played.name(portAt(port))
    const first = await port.connected(1)
    await expect.poll(run.counts).toEqual({ attached: 1, detached: 0 })
    run.played.name(portAt(port, {}, 'q'))
    await closed(first)
    const second = await port.connected(2)
    second.write('public\r\n')
    using viewer = await dial(run.address, { path: `/?token=${OTHER_TOKEN}` })
    // The played port greets each connection.
    expect(await untilText(viewer, /public\r\n/)).toBe('secret\r\npublic\r\n')
  })

  it('reports the output of a port that the authority wants, of a machine that has just stopped too', async () => {
    await using port = await playPort()
    await using run = await started(port)
    run.played.name(portAt(port))
    await expect.poll(run.counts).toEqual({ attached: 1, detached: 0 })
    run.played.want(OTHER, 'x')
    run.played.want(INSTANCE, 'a')
    await expect.poll(() => run.played.reports).toEqual([`${INSTANCE} a SeaBIOS\r\n`])
    await port.stop()
    await expect.poll(run.counts).toEqual({ attached: 0, detached: 1 })
    run.played.want(INSTANCE, 'b')
    await expect.poll(() => run.played.reports[1]).toMatch(/ b SeaBIOS\r\n[\s\S]*closed its serial port/)
  })

  it('leaves a port that the authority no longer names', async () => {
    await using port = await playPort()
    await using run = await started(port)
    run.played.name(portAt(port))
    const socket = await port.connected(1)
    await expect.poll(run.counts).toEqual({ attached: 1, detached: 0 })
    run.played.name()
    await closed(socket)
    expect(await run.counts()).toEqual({ attached: 0, detached: 0 })
  })

  it('holds at most standing_ports, and says so once', async () => {
    await using port = await playPort()
    await using run = await started(port, '', 1)
    run.played.name(portAt(port), portAt(port, { instance: OTHER }))
    await port.connected(1)
    run.played.name(portAt(port), portAt(port, { instance: OTHER }))
    await expect.poll(run.counts).toEqual({ attached: 1, detached: 0 })
    expect(run.log.records('consoles.serial.standing_ports is reached: the other ports are not held')).toHaveLength(1)
  })

  it('ends the attachment to a guest that speaks another protocol, and shows none of it', async () => {
    await using port = await playPort('RFB 003.008\n')
    await using run = await started(port, '[hypervisor]\nidentity = "enforce"')
    run.played.name(portAt(port))
    await port.connected(2)
    await expect.poll(() => run.log.records('a serial port has closed').length).toBeGreaterThan(0)
  })

  it('keeps its ports while the authority fails', async () => {
    await using port = await playPort()
    await using run = await started(port)
    run.played.name(portAt(port))
    await expect.poll(run.counts).toEqual({ attached: 1, detached: 0 })
    run.played.failing = new Error('away')
    run.played.name()
    await expect
      .poll(() => run.log.records('the authority does not say which serial ports to hold; those that are held stay'))
      .toHaveLength(1)
    expect(await run.counts()).toEqual({ attached: 1, detached: 0 })
  })

  it('holds a port at the authority once it is open, through a restart, and never for a machine that is off', async () => {
    await using port = await playPort()
    await using run = await started(port)
    await port.stop()
    run.played.name(portAt(port))
    await expect.poll(() => run.log.records('a serial port cannot be opened, trying again')).toHaveLength(1)
    expect(run.played.held).toEqual([])
    await port.start()
    await port.connected(1)
    await expect.poll(() => run.played.held).toEqual([INSTANCE])
    await port.stop()
    await port.start()
    await port.connected(2)
    expect(run.played.held).toEqual([INSTANCE])
    run.played.name()
    await expect.poll(() => run.played.held).toEqual([INSTANCE, 'released'])
  })

  it('gives its ports to other proxies when it stops', async () => {
    await using port = await playPort()
    const run = await started(port)
    run.played.name(portAt(port))
    const socket = await port.connected(1)
    await run[Symbol.asyncDispose]()
    await closed(socket)
    expect(run.played.released).toBe(1)
  })
})
