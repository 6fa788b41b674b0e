/** A proxy whose log cannot be written: open consoles must not be affected, and lost lines are counted. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseListen } from '@oriel/runtime'
import { startNovaStub, temporaryFolder, within } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { ADMIN_TOKEN, INSTANCE, TOKEN, UPGRADE } from './fixture.ts'

const REFUSALS = 6_000
const CONNECTIONS = 32
/** A gap that users do not notice. */
const MAX_GAP_MS = 500

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

/** Starts a fixture with a channel to it. @param stdout a descriptor, or `pipe` */
function launch(name: string, args: readonly string[], stdout: number | 'pipe' = 'pipe') {
  const child = spawn(process.execPath, ['--conditions=@oriel/source', fixture(name), ...args], {
    stdio: ['ignore', stdout, 'inherit', 'ipc'],
  })
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>
  return {
    child,
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Waits for the next message of a fixture. */
async function heard<T>(child: ChildProcess): Promise<T> {
  const [message] = await within(once(child, 'message'), 60_000, () => 'a fixture sent nothing')
  return message as T
}

interface Gaps {
  readonly ticks: number
  readonly longestMs: number
}

/** A proxy with a viewer of a ticking serial console, and a second viewer that is connected to the console directly. */
async function viewed(stdout: number | 'pipe') {
  await using opened = new AsyncDisposableStack()
  const { child: console } = opened.use(launch('ticking-console.ts', []))
  const { port } = await heard<{ port: number }>(console)
  const tokens = { [TOKEN]: { instance_uuid: INSTANCE, host: '127.0.0.1', port } }
  const nova = opened.use(await startNovaStub({ tokens, adminToken: ADMIN_TOKEN }))
  const folder = opened.use(await temporaryFolder())
  const config = join(folder.path, 'proxy.toml')
  await writeFile(config, toml(nova.url))
  const proxy = opened.use(launch('addressed-program.ts', ['--config', config], stdout))
  const { address, admin } = await heard<{ address: string; admin: string }>(proxy.child)
  const { child: viewer } = opened.use(launch('tick-viewer.ts', [`ws://${address}/?token=${TOKEN}`, String(port)]))
  const gaps = async () => {
    viewer.send('report')
    return heard<{ proxied: Gaps; direct: Gaps }>(viewer)
  }
  await expect.poll(async () => (await gaps()).proxied.ticks, { timeout: 30_000 }).toBeGreaterThan(2)
  const close = opened.move()
  return { proxy, address, admin, gaps, [Symbol.asyncDispose]: () => close.disposeAsync() }
}

const toml = (endpoint: string) => `
  [authority]
  endpoint = "${endpoint}"
  auth = { method = "token", token = "${ADMIN_TOKEN}" }
  [[listen]]
  address = "127.0.0.1:0"
  consoles = ["serial"]
  [admin]
  listen = "127.0.0.1:0"`

const REFUSED = ['GET / HTTP/1.1', 'Host: h', ...UPGRADE, '', ''].join('\r\n')

/** Causes that many refusals, each with a log line. */
async function haveRefused(address: string, count: number): Promise<void> {
  let left = count
  const worker = async () => {
    while (left > 0) {
      left -= 1
      const socket = connect(parseListen(address))
      socket.on('error', () => {}).resume()
      socket.write(REFUSED)
      await once(socket, 'close')
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
}

async function linesLost(admin: string): Promise<number> {
  const text = await (await fetch(`http://${admin}/metrics`)).text()
  return Number(/^oriel_log_lines_lost_total (\d+)$/m.exec(text)?.[1])
}

/** Expects that the viewer saw no gap during the refusals, except those that the machine itself caused. */
async function expectSteady(it: Awaited<ReturnType<typeof viewed>>): Promise<void> {
  const before = (await it.gaps()).proxied.ticks
  await within(haveRefused(it.address, REFUSALS), 60_000, () => 'the proxy answers no longer')
  const { proxied, direct } = await it.gaps()
  expect(proxied.ticks).toBeGreaterThan(before)
  expect(proxied.longestMs).toBeLessThan(MAX_GAP_MS + direct.longestMs)
  expect(await linesLost(it.admin)).toBeGreaterThan(0)
}

const clean = [0, null]

describe('a console that ticks every 50 ms, while thousands of refusals are logged', { timeout: 120_000 }, () => {
  it('has no gap above 500 ms on a full log disk, and the proxy stops cleanly', async () => {
    const full = openSync('/dev/full', 'w')
    await using it = await viewed(full)
    closeSync(full)
    await expectSteady(it)
    it.proxy.child.kill('SIGTERM')
    expect(await it.proxy.ended).toEqual(clean)
  })

  it('has no gap above 500 ms while the log goes to a socket without a reader', async () => {
    await using it = await viewed('pipe')
    await expectSteady(it)
    it.proxy.child.kill('SIGTERM')
    expect(await it.proxy.ended).toEqual(clean)
  })

  it('has no gap above 500 ms while the log goes to a stalled pipe, whose reader then gets the number of lost lines', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'log')
    execFileSync('mkfifo', [path])
    const pipe = openSync(path, constants.O_RDWR)
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    await using it = await viewed(pipe)
    closeSync(pipe)
    await expectSteady(it)
    const records = recordsIn(reader)
    const told: Record<string, unknown>[] = []
    const lost = () => {
      told.push(...records().filter((record) => record.lost !== undefined))
      return told
    }
    await expect.poll(lost, { interval: 20 }).not.toHaveLength(0)
    expect(told[0]).toMatchObject({ level: 'warn', lost: await linesLost(it.admin) })
    closeSync(reader)
  })

  it('has no gap above 500 ms after the reader of the log is gone', async () => {
    await using it = await viewed('pipe')
    it.proxy.child.stdout!.destroy()
    await expectSteady(it)
    it.proxy.child.kill('SIGTERM')
    expect(await it.proxy.ended).toEqual(clean)
  })
})

/** Reads a pipe without waiting, and returns its log records. @throws SyntaxError for an incomplete line */
function recordsIn(pipe: number): () => Record<string, unknown>[] {
  const buffer = Buffer.alloc(64 * 1024)
  let rest = ''
  return () => {
    try {
      for (;;) rest += buffer.toString('utf8', 0, readSync(pipe, buffer))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
    const lines = rest.split('\n')
    rest = lines.pop()!
    return lines.map((line) => JSON.parse(line))
  }
}
