/** A proxy that stays attached to the serial ports of real QEMUs: their firmware prints before any client has come. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { freePort, type QemuOptions, type RunningProgram, requires, startQemu, temporaryFolder } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { listening, merge, PROJECT, proxyConfig, startApp } from './parts/oriel.ts'
import { startSourcedApi } from './parts/real-source.ts'

const { skip, reason } = requires('qemu')
const ID = '6f9e1f7a-8a1d-4f3c-9b53-0d3f7a2b6c10'
const REATTACHED_MS = 1_000
const firmware = { vnc: false, firmware: 'serial', paused: true } as const
const MENU = /Press ESC for boot menu/
const ATTACHED = 'attached to a serial port'

describe.skipIf(skip)(`standing serial ports of real QEMU guests${reason}`, () => {
  it('have the first byte of the firmware for a viewer that comes later, who stays while QEMU restarts', async () => {
    await using folder = await temporaryFolder()
    const serial = { port: await freePort() }
    const start = (options: Partial<QemuOptions> = {}) => {
      const qmp = ['-qmp', `unix:${join(folder.path, 'web-1.qmp')},server=on,wait=off`]
      return startQemu({ name: 'web-1', uuid: ID, serial, ...firmware, args: qmp, ...options })
    }
    // So long that a busy machine restarts the guest within it.
    await using run = await startStanding({ kind: 'qemu', qmp: join(folder.path, '*.qmp'), restart_seconds: 60 })
    const first = await firstBytes()
    expect(first).toMatch(/SeaBIOS/)
    const guest = await start()
    await run.attached(1)
    await guest.qmp('cont')
    await expect.poll(run.output, { interval: 50 }).toMatch(MENU)
    expect((await run.output()).slice(0, shown(first).length)).toBe(shown(first))
    await using viewer = await run.view()
    expect((await viewer.until(MENU)).slice(0, first.length)).toBe(first)
    await guest[Symbol.asyncDispose]()
    await viewer.until(/closed its serial port\]\r\n/)
    await using again = await start()
    const listeningMs = Date.now()
    expect((await run.attached(2)) - listeningMs).toBeLessThan(REATTACHED_MS)
    await again.qmp('cont')
    const both = await viewer.until(/the machine restarted[\s\S]*Press ESC for boot menu/)
    expect(both.split(first)).toHaveLength(3)
    await using later = await run.view()
    const all = await later.until(/the machine restarted[\s\S]*Press ESC for boot menu/)
    // Output after the menu may have arrived at only one of the two.
    const untilMenu = (text: string) => text.slice(0, text.lastIndexOf('Press ESC'))
    expect(untilMenu(all)).toBe(untilMenu(both))
  })

  it('end for their viewers when QEMU does not run again in time', async () => {
    await using folder = await temporaryFolder()
    await using run = await startStanding({ kind: 'qemu', qmp: join(folder.path, '*.qmp'), restart_seconds: 0.2 })
    const qmp = ['-qmp', `unix:${join(folder.path, 'web-1.qmp')},server=on,wait=off`]
    const guest = await startQemu({ name: 'web-1', uuid: ID, serial: true, ...firmware, args: qmp })
    await run.attached(1)
    await using viewer = await run.view()
    await guest[Symbol.asyncDispose]()
    await viewer.closed
  })

  it('are held by one of several workers, and shown to viewers in all of them', async () => {
    await using folder = await temporaryFolder()
    await using run = await startStanding(
      { kind: 'qemu', qmp: join(folder.path, '*.qmp') },
      { sessions: { workers: 2 } },
    )
    const first = await firstBytes()
    const qmp = ['-qmp', `unix:${join(folder.path, 'web-1.qmp')},server=on,wait=off`]
    await using guest = await startQemu({ name: 'web-1', uuid: ID, serial: true, ...firmware, args: qmp })
    await run.attached(1)
    await guest.qmp('cont')
    await using scope = new AsyncDisposableStack()
    // The system gives each connection to any worker.
    for (let count = 0; count < 8; count += 1) {
      const viewer = scope.use(await run.view())
      expect((await viewer.until(MENU)).slice(0, first.length)).toBe(first)
    }
    expect(run.proxy.records.filter(({ msg }) => msg === ATTACHED)).toHaveLength(1)
  })

  it('are divided among two proxies, and move to the one with a viewer', async () => {
    await using folder = await temporaryFolder()
    await using run = await startStanding({ kind: 'qemu', qmp: join(folder.path, '*.qmp') })
    await using second = await run.startProxy()
    const qmp = ['-qmp', `unix:${join(folder.path, 'web-1.qmp')},server=on,wait=off`]
    await using guest = await startQemu({ name: 'web-1', uuid: ID, serial: true, ...firmware, args: qmp })
    const other = await Promise.race([run.attached(1).then(() => second), attached(second.proxy, 1).then(() => run)])
    await guest.qmp('cont')
    await expect.poll(run.output, { interval: 50 }).toMatch(MENU)
    // The firmware shows its menu anew, since its first output is at the other proxy.
    await using viewer = await other.view()
    await attached(other.proxy, 1)
    viewer.socket.send('\x1b')
    await viewer.until(/Select boot device/)
  })

  it('stay with their viewers while QEMU restarts in place, which the source does not notice', async () => {
    const port = await freePort()
    const start = () => startQemu({ name: 'web-1', uuid: ID, serial: { port }, ...firmware })
    const server = {
      id: ID,
      name: 'web-1',
      project_id: PROJECT,
      status: 'ACTIVE',
      consoles: { serial: { host: '127.0.0.1', port } },
    }
    await using run = await startStanding({ kind: 'static', servers: [server] })
    const first = await firstBytes()
    const guest = await start()
    await run.attached(1)
    await guest.qmp('cont')
    await using viewer = await run.view()
    await viewer.until(MENU)
    await guest[Symbol.asyncDispose]()
    await viewer.until(/closed its serial port\]\r\n/)
    await using again = await start()
    const listeningMs = Date.now()
    expect((await run.attached(2)) - listeningMs).toBeLessThan(REATTACHED_MS)
    await again.qmp('cont')
    const text = await viewer.until(/the machine restarted[\s\S]*boot menu/)
    // A QEMU that ends may still accept a connection, which breaks once it has ended: then the proxy attaches once more.
    const sinceAttached = text.split(/\[oriel: [^\]]+\]\r\n/).at(-1)!
    expect(sinceAttached.slice(0, first.length)).toBe(first)
  })
})

/** An API with a source, and a proxy that stays attached to its serial ports. @param more is merged into proxy.toml */
async function startStanding(source: Record<string, unknown>, more: Record<string, unknown> = {}) {
  await using scope = new AsyncDisposableStack()
  const port = await freePort()
  const api = scope.use(
    await startSourcedApi(source, {}, { consoles: { serial: { base_url: `ws://127.0.0.1:${port}/` } } }),
  )
  const startProxy = async (at: number) => {
    const toml = merge(proxyConfig(Number(new URL(api.endpoint).port), at), {
      authority: { kind: 'oriel' },
      listen: [{ address: `127.0.0.1:${at}`, consoles: ['serial'] }],
      consoles: { serial: { standing: true } },
    })
    const proxy = await startApp('proxy', merge(toml, more))
    await listening(proxy)
    const view = async () => {
      const token = await api.mint(ID, 'serial')
      return viewerOf(new WebSocket(`ws://127.0.0.1:${at}/?token=${token}`, ['binary']))
    }
    return { proxy, view, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
  }
  const { proxy, view } = scope.use(await startProxy(port))
  const rest = scope.move()
  return {
    ...{ api, proxy, view },
    startProxy: async () => startProxy(await freePort()),
    /** Resolves with the time at which the proxy was attached for the `count`th time. */
    attached: (count: number) => attached(proxy, count),
    /** What os-getConsoleOutput returns. */
    async output() {
      const body = { 'os-getConsoleOutput': {} }
      return (await api.client.at('2.99').getConsoleOutput({ server_id: ID, body })).output
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

async function attached(proxy: RunningProgram, count: number): Promise<number> {
  const all = () => proxy.records.filter(({ msg }) => msg === ATTACHED)
  const { time } = await proxy.waitForLog((record) => record === all()[count - 1])
  return Date.parse(String(time))
}

async function viewerOf(socket: WebSocket) {
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()))
  const until = collect((take) => void socket.on('message', (data: Buffer) => take(data)))
  await once(socket, 'open')
  return {
    ...{ socket, until, closed },
    async [Symbol.asyncDispose]() {
      socket.terminate()
      await closed
    },
  }
}

/** What the firmware of such a guest prints first, as a client sees it that was connected before. */
async function firstBytes(): Promise<string> {
  await using guest = await startQemu({ name: 'other', serial: true, ...firmware })
  const socket = connect(guest.serialPort!, guest.host)
  const until = collect((take) => void socket.on('data', take))
  await once(socket, 'connect')
  await guest.qmp('cont')
  const text = await until(/SeaBIOS \(version [^)]*\)/)
  socket.destroy()
  return /^[\s\S]*?SeaBIOS \(version [^)]*\)/.exec(text)![0]
}

/** As os-getConsoleOutput shows it: without control characters. */
const shown = (text: string) => text.replace(/[^\t\n\x20-\x7e]/g, '')

/** Returns a function that waits for output that fits, and returns all output until then. */
function collect(listen: (take: (bytes: Buffer) => void) => void): (fits: RegExp) => Promise<string> {
  let text = ''
  let news = Promise.withResolvers<void>()
  listen((bytes) => {
    text += bytes.toString('latin1')
    news.resolve()
    news = Promise.withResolvers()
  })
  return async (fits) => {
    while (!fits.test(text)) await news.promise
    return text
  }
}
