/** Hypervisors that disconnect after any byte of their handshake with a running proxy. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { parseListen } from '@oriel/runtime'
import { type Peer, temporaryPki, vencryptServer, within } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { INSTANCE, type Running, type RunOptions, running, TOKEN, UPGRADE } from '../fixture.ts'

/** The messages of a hypervisor, and how many bytes it receives after each. */
type Dialogue = readonly (readonly [said: Buffer, heard: number])[]

const ascii = (text: string) => Buffer.from(text, 'latin1')
const PATH = '/console/of/the/machine'
const ASKED = `CONNECT ${PATH} HTTP/1.1\r\n\r\n`
const RFB_38: Dialogue = [
  [ascii('RFB 003.008\n'), 12],
  [Buffer.of(2, 2, 1), 1],
  [Buffer.of(0, 0, 0, 0), 0],
]
const RFB_33: Dialogue = [
  [ascii('RFB 003.003\n'), 12],
  [Buffer.of(0, 0, 0, 1), 0],
]
const CONNECT: Dialogue = [
  [Buffer.alloc(0), ASKED.length],
  [ascii('HTTP/1.1 200 Connection established\r\nServer: esx\r\nX-More: 1\r\n\r\n'), 0],
]

/** VeNCrypt before TLS, and then ServerHello. */
const EVERY_BYTE = 160

/** Sends an Upgrade, closes the console at once if it opens, and returns the status. */
async function statusOf(address: string): Promise<number> {
  const socket = connect(parseListen(address))
  socket.on('error', () => {})
  socket.write([`GET /?token=${TOKEN} HTTP/1.1`, 'Host: h', ...UPGRADE, '', ''].join('\r\n'))
  const [data] = await within(once(socket, 'data'), 20_000, () => 'no answer')
  socket.destroy()
  return Number(String(data).split(' ')[1])
}

/** Sends the first `limit` bytes of the dialogue. Returns whether that was all of it. */
async function sayUpTo(peer: Peer, dialogue: Dialogue, limit: number): Promise<boolean> {
  let left = limit
  for (const [said, heard] of dialogue) {
    await peer.send(said.subarray(0, left))
    if (left < said.length) return false
    left -= said.length
    if (heard > 0) await peer.read(heard)
  }
  return true
}

const total = (dialogue: Dialogue) => dialogue.reduce((sum, [said]) => sum + said.length, 0)

/** Expects that the cut connection left no state, and that the next client gets a console. */
async function expectUnharmed({ proxy, address, log }: Running): Promise<void> {
  await expect.poll(() => proxy.sessions()).toEqual([])
  expect(log.text()).not.toMatch(/unexpected error of the proxy/)
  expect(await statusOf(address)).toBe(101)
}

describe('CVE-2023-3354 disconnect in handshake, on the side of the hypervisor', { timeout: 120_000 }, () => {
  it.each<[string, Dialogue, RunOptions]>([
    ['RFB 3.8', RFB_38, {}],
    ['RFB 3.3', RFB_33, {}],
    ['CONNECT', CONNECT, { consoles: ['webmks'], connectInfo: { internal_access_path: PATH } }],
  ])('refuses a connect when %s ends or is reset after any byte', async (_, dialogue, options) => {
    let limit = Number.POSITIVE_INFINITY
    let reset = false
    await using proxy = await running({
      ...options,
      hypervisor: async (peer) => {
        peer.socket.on('error', () => {})
        if (await sayUpTo(peer, dialogue, limit)) await peer.closed({ timeoutMs: 60_000 })
        else if (reset) peer.socket.resetAndDestroy()
      },
    })
    for (limit = 0; limit < total(dialogue); limit += 1) {
      for (reset of [false, true]) expect(await statusOf(proxy.address), `after ${limit} bytes`).toBe(502)
    }
    expect(proxy.log.records('session opened')).toEqual([])
    limit = Number.POSITIVE_INFINITY
    await expectUnharmed(proxy)
  })

  it('refuses a connect when VeNCrypt ends after any byte before TLS or in its first record, or anywhere later', async () => {
    await using pki = await temporaryPki()
    await using server = await vencryptServer({ folder: pki.path })
    await using wire = await cuttable(server.port)
    const vnc = `[hypervisor]\nvnc = { auth_schemes = ["vencrypt"], ca_file = "${pki.path}/ca-cert.pem" }`
    await using proxy = await running({ toml: vnc })
    proxy.nova.tokens.set(TOKEN, { instance_uuid: INSTANCE, host: '127.0.0.1', port: wire.port })
    expect(await statusOf(proxy.address)).toBe(101)
    const whole = wire.passed()
    expect(whole).toBeGreaterThan(500)
    const statuses: number[] = []
    const step = Math.ceil((whole - EVERY_BYTE) / 100)
    for (let limit = 0; limit < whole; limit += limit < EVERY_BYTE ? 1 : step) {
      wire.cutAfter(limit)
      statuses.push(await statusOf(proxy.address))
    }
    // TLS session tickets come last, when the console is already open.
    const refused = statuses.includes(101) ? statuses.indexOf(101) : statuses.length
    expect(refused).toBeGreaterThan(EVERY_BYTE + 50)
    expect(new Set(statuses.slice(0, refused))).toEqual(new Set([502]))
    wire.cutAfter(Number.POSITIVE_INFINITY)
    await expectUnharmed(proxy)
  })
})

/** A relay to another port that disconnects after a number of bytes from there. */
async function cuttable(port: number) {
  let limit = Number.POSITIVE_INFINITY
  let passed = 0
  const sockets = new Set<Socket>()
  const server = createServer((viewer) => {
    const target = connect({ host: '127.0.0.1', port })
    passed = 0
    let left = limit
    for (const socket of [viewer, target]) {
      sockets.add(socket)
      socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    }
    viewer.pipe(target)
    viewer.once('close', () => target.destroy())
    target.once('close', () => viewer.destroy())
    if (left === 0) viewer.end()
    target.on('data', (data) => {
      const piece = data.subarray(0, left)
      left -= piece.length
      passed += piece.length
      viewer.write(piece)
      if (left === 0) viewer.end()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    passed: () => passed,
    cutAfter: (bytes: number) => {
      limit = bytes
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await once(server.close(), 'close')
    },
  }
}
