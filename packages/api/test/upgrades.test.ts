/** Upgrades that a running API refuses: it answers them and keeps no memory of them. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseListen } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'

const file = fileURLToPath(new URL('fixtures/measured-program.ts', import.meta.url))
const REQUESTS = 100_000
const CONNECTIONS = 32
/** Thirty bytes for each; a request that is kept costs thousands. */
const ALLOWED_BYTES = 3 * 1024 * 1024

const KEY = ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']
const text = (target: string, headers: readonly string[]) =>
  [`GET ${target} HTTP/1.1`, 'Host: h', 'Connection: Upgrade', ...headers, '', ''].join('\r\n')
const websocket = text('/v2.1/servers', ['Upgrade: websocket', ...KEY])

/** The expected answer; the other requests are aborted. */
const kinds: readonly (readonly [string, string | undefined])[] = [
  [websocket, '401'],
  [text('/', ['Upgrade: websocket', ...KEY]), '200'],
  [text('/nothing', ['Upgrade: websocket', ...KEY]), '404'],
  [text('/v2.1/servers', ['Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA']), '401'],
  [text('/v2.1/servers', ['Upgrade: websocket', 'Sec-WebSocket-Key: none']), '401'],
  [websocket.replace('GET', 'POST'), '401'],
  [websocket.replace('Host: h\r\n', 'Host: a/b\r\n'), '400'],
  // Broken off in the head, right behind it, and with bytes that belong to no request.
  [websocket.slice(0, 60), undefined],
  [websocket, undefined],
  [`${websocket}\x89\x80\0\0\0\0`, undefined],
]

describe('CVE-2026-73565: aborted WebSocket handshakes with the API', () => {
  it('are handled by a version of node-server with the fix', async () => {
    const manifest = new URL('../node_modules/@hono/node-server/package.json', import.meta.url)
    const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string }
    const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
    expect((major * 1000 + minor) * 1000 + patch).toBeGreaterThanOrEqual(2_000_010)
  })

  it('do not grow the heap with 100,000 of every kind', { timeout: 600_000 }, async () => {
    const program = fork(file, { execArgv: ['--conditions=@oriel/source', '--expose-gc'] })
    using _ended = { [Symbol.dispose]: () => void program.kill('SIGKILL') }
    const [address] = (await once(program, 'message')) as [string]
    const heapBytes = async () => {
      program.send('heap?')
      const [bytes] = (await once(program, 'message')) as [number]
      return bytes
    }
    await flood(address, 2_000)
    const before = await heapBytes()
    await flood(address, REQUESTS)
    const grown = async () => (await heapBytes()) - before
    await expect.poll(grown, { timeout: 30_000, interval: 1_000 }).toBeLessThan(ALLOWED_BYTES)
  })
})

/** Sends `count` requests of all kinds in turn, some at a time. @throws Error for an answer that is not the one due */
async function flood(address: string, count: number): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) {
      const [sent, due] = kinds[next % kinds.length]!
      next += 1
      if (due === undefined) await breakOff(address, sent)
      else expect(await statusOf(address, sent)).toBe(due)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
}

async function statusOf(address: string, sent: string): Promise<string | undefined> {
  const socket = connect(parseListen(address)).on('error', () => {})
  socket.write(sent)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return answer.toString('latin1').split(' ')[1]
}

/** Leaves as soon as everything went out, with a reset. */
async function breakOff(address: string, sent: string): Promise<void> {
  const socket = connect(parseListen(address)).on('error', () => {})
  await new Promise<void>((resolve) => socket.write(sent, () => resolve()))
  socket.resetAndDestroy()
}
