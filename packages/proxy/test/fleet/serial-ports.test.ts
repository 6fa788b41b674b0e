/** Serial ports whose viewers are in several workers of a running proxy. */
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closeReasons } from '@oriel/contract'
import { type Peer, scriptedServer, startNovaStub, startProgram, temporaryFolder } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { Calls } from '../../src/fleet/calls.ts'
import type { PrimaryAnswers, WorkerAnswers } from '../../src/fleet/contract.ts'
import { type HeldPorts, PortFolder, PortsOfWorker } from '../../src/fleet/serial-ports.ts'
import { ADMIN_TOKEN, type Client, dial, INSTANCE, TOKEN } from '../fixture.ts'

const file = fileURLToPath(new URL('../fixtures/proxy-program.ts', import.meta.url))
const WORKERS = 3
const GREETING = 'login: '

const echo = async (peer: Peer) => {
  peer.socket.on('error', () => {})
  await peer.send(Buffer.from(GREETING))
  peer.socket.pipe(peer.socket)
  await peer.closed({ timeoutMs: 120_000 })
}

/** `oriel-proxy` of several workers, with a serial port that greets each connection and echoes. */
async function fleet() {
  await using opened = new AsyncDisposableStack()
  const hypervisor = opened.use(await scriptedServer(echo))
  const console = { instance_uuid: INSTANCE, host: hypervisor.host, port: hypervisor.port }
  const nova = opened.use(await startNovaStub({ tokens: { [TOKEN]: console }, adminToken: ADMIN_TOKEN }))
  const folder = opened.use(await temporaryFolder())
  await writeFile(
    join(folder.path, 'proxy.toml'),
    `[authority]
    endpoint = "${nova.url}"
    validate = "off"
    auth = { method = "token", token = "${ADMIN_TOKEN}" }
    [[listen]]
    address = "127.0.0.1:0"
    consoles = ["serial"]
    [sessions]
    workers = ${WORKERS}`,
  )
  const args = ['--config', join(folder.path, 'proxy.toml')]
  const program = opened.use(await startProgram({ file, nodeArgs: ['--conditions=@oriel/source'], args }))
  const started = { timeoutMs: 60_000 }
  await program.waitForLog(({ msg }) => msg === 'all workers accept connections', started)
  const address = String((await program.waitForLog(({ msg }) => msg === 'listening')).address)
  const close = opened.move()
  return {
    ...{ program, address, connections: () => hypervisor.connections },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

interface Viewer {
  readonly client: Client
  readonly worker: unknown
  readonly pid: number
}

/** Opens the console until each worker has a viewer. The first one's worker has the port open. */
async function viewEverywhere({ address, program }: Awaited<ReturnType<typeof fleet>>): Promise<Viewer[]> {
  const opened = () => program.records.filter(({ msg }) => msg === 'session opened')
  const viewers: Viewer[] = []
  while (new Set(viewers.map(({ worker }) => worker)).size < WORKERS) {
    const client = await dial(address)
    expect(String(await client.read(GREETING.length))).toBe(GREETING)
    await expect.poll(() => opened().length).toBe(viewers.length + 1)
    const { worker, pid } = opened().at(-1)!
    viewers.push({ client, worker, pid: Number(pid) })
  }
  return viewers
}

describe('a serial port with viewers in several workers', { timeout: 120_000 }, () => {
  it('has one connection, shows each viewer the same, and stays open while one remains', async () => {
    await using it = await fleet()
    const viewers = (await viewEverywhere(it)).map(({ client }) => client)
    for (const [index, viewer] of viewers.entries()) {
      viewer.ws.send(`input ${index}\r`)
      for (const each of viewers) expect(String(await each.read(8))).toBe(`input ${index}\r`)
    }
    const [first, ...others] = viewers
    first!.ws.close()
    await first!.closed()
    others[0]!.ws.send('more\r')
    for (const each of others) expect(String(await each.read(5))).toBe('more\r')
    expect(it.connections()).toBe(1)
    for (const each of others) each.ws.close()
    for (const each of others) await each.closed()
  })

  it('is opened once for viewers that arrive at the same moment, and again after all have left', async () => {
    await using it = await fleet()
    const together = () => Promise.all(Array.from({ length: 2 * WORKERS }, () => dial(it.address)))
    for (const connections of [1, 2]) {
      const viewers = await together()
      for (const viewer of viewers) expect(String(await viewer.read(GREETING.length))).toBe(GREETING)
      await expect.poll(it.connections).toBe(connections)
      for (const viewer of viewers) viewer.ws.close()
      for (const viewer of viewers) await viewer.closed()
      const ended = () => it.program.records.filter(({ msg }) => msg === 'session ended')
      await expect.poll(() => ended().length).toBe(connections * viewers.length)
    }
  })

  it('ends all viewers as console_lost if the worker that has it open dies, and opens again', async () => {
    await using it = await fleet()
    const [first, ...others] = await viewEverywhere(it)
    process.kill(first!.pid, 'SIGKILL')
    for (const { client } of others.filter(({ pid }) => pid !== first!.pid)) {
      expect(await client.closed()).toMatchObject({ code: closeReasons.console_lost.code })
    }
    using again = await dial(it.address)
    expect(String(await again.read(GREETING.length))).toBe(GREETING)
    await expect.poll(it.connections).toBe(2)
  })
})

describe('the ports that workers hold', () => {
  function worker(ports: HeldPorts) {
    const member = new PortsOfWorker(ports, new PortFolder())
    const calls: Calls<PrimaryAnswers> = new Calls((message) => primary.take(structuredClone(message)), {})
    const primary: Calls<WorkerAnswers> = new Calls((message) => calls.take(structuredClone(message)), member.answers)
    return { calls, exit: () => member[Symbol.dispose]() }
  }

  it('are held by one of them, until it releases them or exits', async () => {
    const ports: HeldPorts = new Map()
    const [one, two] = [worker(ports), worker(ports)]
    const [atOne, atTwo] = [
      { path: '/one', key: '1' },
      { path: '/two', key: '2' },
    ]
    expect(await one.calls.ask('holdPort', 'a', atOne)).toBeNull()
    expect(await two.calls.ask('holdPort', 'a', atTwo)).toEqual(atOne)
    await two.calls.ask('releasePort', 'a')
    expect(await two.calls.ask('holdPort', 'a', atTwo)).toEqual(atOne)
    await one.calls.ask('releasePort', 'a')
    expect(await two.calls.ask('holdPort', 'a', atTwo)).toBeNull()
    two.exit()
    expect(await one.calls.ask('holdPort', 'a', atOne)).toBeNull()
  })

  it('are served in a folder that only this user can enter, and that is removed with the proxy', async () => {
    const folder = new PortFolder()
    const path = await folder.path()
    expect(await folder.path()).toBe(path)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    await writeFile(join(path, 'socket'), '')
    await folder[Symbol.asyncDispose]()
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('cannot be held at an address of another form', async () => {
    const { calls } = worker(new Map())
    await expect(calls.ask('holdPort', 'a', { path: 1 } as never)).rejects.toThrow('the port is malformed')
  })
})
