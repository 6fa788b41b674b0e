/** The memory of a running proxy after a flood of requests must not grow with their number. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseListen } from '@oriel/runtime'
import {
  freePort,
  type LogRecord,
  type NovaConsole,
  type RunningProgram,
  scriptedServer,
  startNovaStub,
  startProgram,
  temporaryFolder,
} from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { ADMIN_TOKEN, dial, INSTANCE, OTHER_TOKEN, TOKEN, UPGRADE } from './fixture.ts'

const file = fileURLToPath(new URL('fixtures/measured-program.ts', import.meta.url))
const CONNECTIONS = 32
/** A tenth of what one retained request would cost, times 10,000. */
const ALLOWED_BYTES = 3 * 1024 * 1024

/** A proxy in a separate process, whose heap can be measured. @param tokens the tokens that its Nova knows */
async function measured(tokens: Readonly<Record<string, NovaConsole>> = {}, consoles = ['novnc']) {
  await using opened = new AsyncDisposableStack()
  const nova = opened.use(await startNovaStub({ tokens, adminToken: ADMIN_TOKEN }))
  const folder = opened.use(await temporaryFolder())
  const config = join(folder.path, 'proxy.toml')
  await writeFile(config, toml(nova.url, consoles))
  const nodeArgs = ['--conditions=@oriel/source', '--expose-gc']
  const program = opened.use(await startProgram({ file, nodeArgs, args: ['--config', config] }))
  const { address } = await program.waitForLog(({ msg }) => msg === 'listening', { timeoutMs: 60_000 })
  const close = opened.move()
  let asked = 0
  return {
    ...{ program, address: String(address) },
    heapBytes: () => {
      asked += 1
      return heapBytes(program, asked)
    },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

const toml = (endpoint: string, consoles: readonly string[]) => `
  [authority]
  endpoint = "${endpoint}"
  auth = { method = "token", token = "${ADMIN_TOKEN}" }
  [[listen]]
  address = "127.0.0.1:0"
  consoles = ${JSON.stringify(consoles)}
  [hypervisor]
  identity = "off"
  [sessions]
  max_per_token = ${2 * CONNECTIONS}
  max_per_instance = ${2 * CONNECTIONS}
  [origin]
  allowed = ["portal.example"]
  trusted_proxies = ["127.0.0.1"]`

/** The answer to the question of that number: of earlier ones, the log may have been forgotten meanwhile. */
async function heapBytes(program: RunningProgram, number: number): Promise<number> {
  process.kill(program.pid, 'SIGUSR2')
  const answer = ({ msg, asked }: LogRecord) => msg === 'heap' && asked === number
  return Number((await program.waitForLog(answer, { timeoutMs: 30_000 })).bytes)
}

/** Sends `count` requests over as many connections, a few at a time. Returns the statuses. */
async function flood(address: string, count: number, text: (i: number) => string): Promise<Map<string, number>> {
  const statuses = new Map<string, number>()
  let next = 0
  const worker = async () => {
    while (next < count) {
      const i = next
      next += 1
      const status = await statusOf(address, text(i))
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
  return statuses
}

/** Returns the status of the response, or `cut` for a request that is aborted. */
async function statusOf(address: string, text: string): Promise<string> {
  const socket = connect(parseListen(address))
  const heard: Buffer[] = []
  socket.on('data', (data) => heard.push(data)).on('error', () => {})
  socket.write(text)
  if (!text.endsWith('\r\n\r\n')) socket.end()
  await once(socket, 'close')
  return Buffer.concat(heard).toString('latin1').split(' ')[1] ?? 'cut'
}

/** The bytes that one flood sends unless the proxy disconnects it. */
const FLOOD_BYTES = 64 * 1024 * 1024
/** The memory that a flood may use: the bytes that wait for the client, and those read from it. */
const PENDING_BYTES = 2 * 1024 * 1024
/** Pings with the largest payload, masked with zeros. */
const PINGS = Buffer.concat(
  Array<Buffer>(512).fill(Buffer.concat([Buffer.of(0x89, 0x80 | 125, 0, 0, 0, 0), Buffer.alloc(125)])),
)

/** A proxy whose serial consoles echo their input, with one of them open. */
async function underPings() {
  await using opened = new AsyncDisposableStack()
  const guest = opened.use(
    await scriptedServer(async (peer) => {
      peer.socket.on('error', () => {})
      peer.socket.pipe(peer.socket)
      await peer.closed({ timeoutMs: 600_000 })
    }),
  )
  const console = { instance_uuid: INSTANCE, host: guest.host, port: guest.port }
  const it = opened.use(await measured({ [TOKEN]: console, [OTHER_TOKEN]: console }, ['serial']))
  const other = opened.use(await dial(it.address, { path: `/?token=${OTHER_TOKEN}` }))
  const before = await it.heapBytes()
  const close = opened.move()
  return {
    address: it.address,
    grown: async () => (await it.heapBytes()) - before,
    echo: async (word: string) => {
      other.ws.send(word)
      return String(await other.read(word.length))
    },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

/** Opens a console and sends that many bytes of pings at once. Returns how many were sent before the proxy disconnected. */
async function pingFlood(address: string, bytes: number, listen: (socket: Socket) => void): Promise<number> {
  const socket = connect(parseListen(address)).on('error', () => {})
  const closed = new Promise<false>((resolve) => socket.once('close', () => resolve(false)))
  socket.write(upgradeText(`/?token=${TOKEN}`, ['Host: h']))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  if (!answer.includes(' 101 ')) throw new Error(`the proxy answers ${answer}`)
  listen(socket)
  let sent = 0
  while (sent < bytes && (await Promise.race([written(socket), closed]))) sent += PINGS.length
  socket.destroy()
  return sent
}

/** Resolves once the pings are written. A failed write is reported by the socket's close. */
const written = (socket: Socket) =>
  new Promise<true>((resolve) => {
    socket.write(PINGS, (error) => {
      if (!error) resolve(true)
    })
  })

/** Timers of look-ups hold memory until they expire. It must be released afterwards. */
async function expectFlat(it: { heapBytes(): Promise<number> }, before: number): Promise<void> {
  const grown = async () => (await it.heapBytes()) - before
  await expect.poll(grown, { timeout: 30_000, interval: 1_000 }).toBeLessThan(ALLOWED_BYTES)
}

const upgradeText = (target: string, headers: readonly string[]) =>
  [`GET ${target} HTTP/1.1`, ...headers, ...UPGRADE, '', ''].join('\r\n')

describe('the heap of a running proxy', { timeout: 600_000 }, () => {
  it('allowed-origin poisoning: 10,000 requests with random Hosts leave list and heap unchanged', async () => {
    await using it = await measured()
    const poison = (i: number) => {
      const host = `${randomBytes(12).toString('hex')}.example`
      const forwarded = i % 2 === 0 ? [`X-Forwarded-Host: ${host}`] : []
      return upgradeText('/', [`Host: ${host}`, ...forwarded, `Origin: http://${host}`])
    }
    await flood(it.address, 1_000, poison)
    const before = await it.heapBytes()
    expect(await flood(it.address, 10_000, poison)).toEqual(new Map([['401', 10_000]]))
    await expectFlat(it, before)
    const evil = upgradeText('/?token=x', ['Host: h.example', 'Origin: http://evil.example'])
    await statusOf(it.address, upgradeText('/?token=x', ['Host: evil.example', 'Origin: http://evil.example']))
    expect(await statusOf(it.address, evil)).toBe('403')
  })

  it('allowed-origin poisoning: 10,000 admitted pages with a valid token leave list and heap unchanged', async () => {
    // Nothing listens there, so each connect fails in the dial.
    await using it = await measured({ [TOKEN]: { instance_uuid: INSTANCE, host: '127.0.0.1', port: await freePort() } })
    const target = `/?token=${TOKEN}`
    const poison = (i: number) => {
      const host = `${randomBytes(12).toString('hex')}.example`
      const named = i % 2 === 0 ? [`Host: ${host}`] : ['Host: h.example', `X-Forwarded-Host: ${host}`]
      return upgradeText(target, [...named, `Origin: https://${host}`])
    }
    await flood(it.address, 1_000, poison)
    const before = await it.heapBytes()
    expect(await flood(it.address, 10_000, poison)).toEqual(new Map([['502', 10_000]]))
    await expectFlat(it, before)
    const origin = 'Origin: http://evil.example'
    expect(await statusOf(it.address, upgradeText(target, ['Host: evil.example', origin]))).toBe('502')
    expect(await statusOf(it.address, upgradeText(target, ['Host: h.example', origin]))).toBe('403')
    expect(await statusOf(it.address, upgradeText(target, ['Host: h.example', 'Origin: http://portal.example']))).toBe(
      '502',
    )
  })

  it('ping flood: clients that read no pong are disconnected, memory stays limited, and other consoles respond', async () => {
    await using it = await underPings()
    const floods = Array.from({ length: 8 }, () => pingFlood(it.address, FLOOD_BYTES, (socket) => socket.pause()))
    for (let i = 10; i < 30; i += 1) {
      expect(await it.echo(`echo ${i}`)).toBe(`echo ${i}`)
      expect(await it.grown()).toBeLessThan(8 * PENDING_BYTES)
    }
    // Each is disconnected long before it has sent all bytes, which an unlimited buffer would accept.
    expect(Math.max(...(await Promise.all(floods)))).toBeLessThan(FLOOD_BYTES)
    await expect.poll(it.grown, { timeout: 30_000, interval: 1_000 }).toBeLessThan(ALLOWED_BYTES)
    expect(await it.echo('echo 30')).toBe('echo 30')
  })

  it('ping flood: clients that read every pong use no more memory and do not delay other consoles', async () => {
    await using it = await underPings()
    const bytes = 64 * PINGS.length
    const floods = Array.from({ length: 4 }, () => pingFlood(it.address, bytes, (socket) => socket.resume()))
    for (let i = 10; i < 20; i += 1) {
      expect(await it.echo(`echo ${i}`)).toBe(`echo ${i}`)
      expect(await it.grown()).toBeLessThan(4 * PENDING_BYTES)
    }
    await Promise.all(floods)
    await expect.poll(it.grown, { timeout: 30_000, interval: 1_000 }).toBeLessThan(ALLOWED_BYTES)
  })

  it('CVE-2026-73565: 100,000 bad upgrades of every kind leave the heap unchanged', async () => {
    await using it = await measured()
    const host = 'Host: h'
    const bad = [
      upgradeText('/', [host]),
      upgradeText('/?token=of-nobody', [host]),
      upgradeText('/?token=..', [host]),
      upgradeText('/?token=x', [host, 'Origin: http://evil.example']),
      upgradeText('/', [host, 'Sec-WebSocket-Protocol: base64']),
      upgradeText('/', ['Host: a/b']),
      upgradeText('/', [host]).replace('Version: 13', 'Version: 7'),
      upgradeText('/', [host]).replace('websocket', 'h2c'),
      // Broken off in the middle, and before the answer.
      upgradeText('/?token=x', [host]).slice(0, 60),
      `${upgradeText('/?token=x', [host])}rest`,
    ]
    const one = (i: number) => bad[i % bad.length]!
    await flood(it.address, 1_000, one)
    const before = await it.heapBytes()
    const statuses = await flood(it.address, 100_000, one)
    expect([...statuses.keys()].sort()).not.toContain('101')
    expect(statuses.get('401')).toBeGreaterThanOrEqual(10_000)
    await expectFlat(it, before)
  })
})
