import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, type TLSSocket } from 'node:tls'
import {
  serverCertificate,
  type TemporaryFolder,
  temporaryPki,
  type VencryptServer,
  vencryptServer,
} from '@oriel/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { HypervisorSocket } from '../../src/hypervisor/leg.ts'
import { tlsFailure } from '../../src/hypervisor/server-certificate.ts'
import { connectHypervisor } from '../../src/hypervisor/tcp-leg.ts'
import { performHypervisorHandshake } from '../../src/rfb/hypervisor-handshake.ts'
import { LegStream } from '../../src/rfb/leg-stream.ts'
import { securityType } from '../../src/rfb/security/index.ts'
import { open, running } from '../fixture.ts'

const never = new AbortController().signal
let pki: TemporaryFolder
let ca: string
beforeAll(async () => {
  pki = await temporaryPki()
  ca = await readFile(join(pki.path, 'ca-cert.pem'), 'utf8')
})
afterAll(() => pki[Symbol.asyncDispose]())
afterEach(() => vi.unstubAllEnvs())

/** A leg over TLS after its handshake, with the bytes after it. */
async function secured({ host, port }: Pick<VencryptServer, 'host' | 'port'>, trusted = ca) {
  const dialled = await connectHypervisor({ host, port }, never)
  const tls = {
    ...{ context: createSecureContext({ ca: trusted }), host, expected: { hosts: {} } },
    hasCertificate: false,
  }
  const stream = new LegStream(dialled, { tls, signal: never })
  try {
    await performHypervisorHandshake(stream, [securityType('vencrypt')])
  } catch (error) {
    dialled[Symbol.dispose]()
    throw error
  }
  // The guest of these tests begins after it has received a byte.
  stream.write(Buffer.of(1))
  return { leg: stream.leg, rest: stream.rest(), [Symbol.dispose]: () => dialled[Symbol.dispose]() }
}

/** Reads all bytes until the leg closes, and returns each buffer at once. */
async function takeAll(leg: HypervisorSocket): Promise<Buffer> {
  const pieces: Buffer[] = []
  leg.take((bytes) => {
    pieces.push(Buffer.from(bytes))
    leg.giveBack(bytes)
    return true
  })
  expect(await leg.closed).toBeUndefined()
  return Buffer.concat(pieces)
}

describe('a leg over TLS', () => {
  it('keeps all bytes in order, up to the last before the end', async () => {
    const sent = randomBytes(5_000_003)
    await using server = await vencryptServer({ folder: pki.path, guest: (socket) => socket.end(sent) })
    using opened = await secured(server)
    const got = Buffer.concat([opened.rest, await takeAll(opened.leg)])
    expect(got.equals(sent)).toBe(true)
    expect(opened.leg.lentBytes).toBe(0)
  })

  it('frees the memory of each record at once, instead of leaving it to the collector', async () => {
    const piece = randomBytes(1024 * 1024)
    await using server = await vencryptServer({
      folder: pki.path,
      guest: (socket) => sendRepeatedly(socket, piece, 48),
    })
    using opened = await secured(server)
    const before = memoryBytes()
    let got = opened.rest.length
    let peak = before
    opened.leg.take((bytes) => {
      got += bytes.length
      peak = Math.max(peak, memoryBytes())
      opened.leg.giveBack(bytes)
      return true
    })
    expect(await opened.leg.closed).toBeUndefined()
    expect(got).toBe(48 * piece.length)
    expect(peak - before).toBeLessThan(8 * 1024 * 1024)
  })

  it('keeps all bytes when the receiver pauses after every piece', async () => {
    const sent = randomBytes(700_001)
    await using server = await vencryptServer({ folder: pki.path, guest: (socket) => socket.end(sent) })
    using opened = await secured(server)
    const pieces = [opened.rest]
    let paused = false
    opened.leg.take((bytes) => {
      expect(paused).toBe(false)
      pieces.push(Buffer.from(bytes))
      opened.leg.giveBack(bytes)
      paused = true
      setImmediate(() => {
        paused = false
        opened.leg.resume()
      })
      return false
    })
    await opened.leg.closed
    expect(Buffer.concat(pieces).equals(sent)).toBe(true)
  })

  it('passes gathered bytes to the next receiver', async () => {
    await using server = await vencryptServer({
      folder: pki.path,
      guest: (socket) => {
        for (let i = 0; i < 256; i += 1) socket.write(Buffer.of(i))
        socket.end()
      },
    })
    using opened = await secured(server)
    const seen = [...opened.rest]
    const takeOne = () =>
      opened.leg.take((bytes) => {
        seen.push(...bytes)
        opened.leg.giveBack(bytes)
        takeOne()
        return true
      })
    takeOne()
    await opened.leg.closed
    expect(seen).toEqual(Array.from({ length: 256 }, (_, i) => i))
  })

  it('sends written bytes, and reports when the socket has drained', async () => {
    const heard = Promise.withResolvers<number>()
    await using server = await vencryptServer({ folder: pki.path, guest: (socket) => count(socket, heard.resolve) })
    using opened = await secured(server)
    const drained = Promise.withResolvers<void>()
    opened.leg.onDrain(drained.resolve)
    expect(opened.leg.write(Buffer.alloc(1024 * 1024))).toBe(false)
    await drained.promise
    opened.leg.write(Buffer.from('end'))
    expect(await heard.promise).toBe(1 + 1024 * 1024 + 3)
  })

  it('verification off: ignores NODE_TLS_REJECT_UNAUTHORIZED', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    await using other = await temporaryPki()
    await using server = await vencryptServer({ folder: other.path })
    await expect(secured(server)).rejects.toThrow(
      "the hypervisor's certificate was not issued by a CA in hypervisor.vnc.ca",
    )
    expect(await server.firstTls).toBe('refused')
  })

  it('refuses TLS older than 1.2', async () => {
    const ciphers = 'DEFAULT@SECLEVEL=0'
    const { key, cert } = await serverCertificate(pki.path)
    const secureContext = createSecureContext({ key, cert, ciphers, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })
    await using server = await vencryptServer({ folder: pki.path, tls: { secureContext } })
    await expect(secured(server)).rejects.toThrow('the hypervisor closed the connection in the TLS handshake')
  })

  it('reports a server that does not speak TLS', async () => {
    await using server = await scripted(Buffer.alloc(0), Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await expect(secured(server)).rejects.toThrow('the hypervisor does not speak TLS')
  })

  it('fails when its deadline passes', async () => {
    await using server = await scripted(Buffer.alloc(0))
    const dialled = await connectHypervisor(server, never)
    using _dialled = dialled
    const tls = {
      context: createSecureContext({ ca }),
      host: server.host,
      expected: { hosts: {} },
      hasCertificate: false,
    }
    const over = new AbortController()
    const stream = new LegStream(dialled, { tls, signal: over.signal })
    const shaking = performHypervisorHandshake(stream, [securityType('vencrypt')])
    await server.heard
    over.abort(new Error('the time is over'))
    await expect(shaking).rejects.toThrow('the time is over')
  })

  it('refuses bytes that are injected before TLS starts', async () => {
    await using server = await scripted(Buffer.from([0, 0, 0, 0]))
    await expect(secured(server)).rejects.toThrow('the hypervisor sent bytes before TLS started')
  })

  it('CVE-2023-3354 disconnect in handshake: fails when the connection closes anywhere in TLS', async () => {
    await using server = await vencryptServer({ folder: pki.path })
    const whole = await handshakeBytes(server)
    for (let limit = 0; limit < whole - SPREAD_BYTES; limit += 1 + Math.floor(whole / 150)) {
      await using cut = await cutAfter(server.port, limit)
      const error = await secured({ host: '127.0.0.1', port: cut.port }).catch((e: Error) => e)
      expect(error, `after ${limit} bytes`).toBeInstanceOf(Error)
    }
  })
})

it.each([
  ['CERT_HAS_EXPIRED', "the hypervisor's certificate has expired"],
  ['CERT_NOT_YET_VALID', "the hypervisor's certificate is not valid yet: check the clocks"],
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'the hypervisor requires a client certificate: set hypervisor.vnc.cert and hypervisor.vnc.key',
  ],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'the hypervisor does not trust the CA of hypervisor.vnc.cert'],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'the hypervisor supports only TLS versions below 1.2'],
  ['ERR_SSL_SOMETHING_NEW', 'TLS failed: in other words'],
  [undefined, 'TLS failed: in other words'],
])('the TLS error %s is reported as %j', (code, text) => {
  expect(tlsFailure(Object.assign(new Error('in other words'), { code }))).toBe(text)
})

describe('the relay over TLS', () => {
  const toml = () => `
    [hypervisor]
    identity = "off"
    vnc = { auth_schemes = ["vencrypt"], ca = """${ca}""" }`
  const timing = { stalledAfterMs: 400, closeTimeoutMs: 100 }

  it.each([
    ['megabytes', 1024 * 1024],
    ['records of 16 bytes', 16],
  ])('CVE-2017-15268 slow reader: %s for a client that never reads cost under 16 MB', async (_, size) => {
    const total = 512 * 1024 * 1024
    let sent = 0
    await using server = await vencryptServer({
      folder: pki.path,
      guest: (socket) => {
        const piece = Buffer.alloc(size, 7)
        const pour = () => {
          while (sent < total && !socket.destroyed) {
            sent += size
            if (!socket.write(piece)) return socket.once('drain', pour)
          }
        }
        pour()
      },
    })
    await using proxy = await running({ toml: toml(), timing, connectInfo: { port: server.port } })
    using client = await open(proxy.address)
    client.ws.pause()
    const before = memoryBytes()
    client.ws.send(Buffer.of(1))
    let peak = before
    const meter = setInterval(() => {
      peak = Math.max(peak, memoryBytes())
    }, 10)
    await expect.poll(() => proxy.log.records('session ended')).toHaveLength(1)
    clearInterval(meter)
    expect(proxy.log.records('session ended')[0]).toMatchObject({ reason: 'client_stalled' })
    expect(peak - before).toBeLessThan(16 * 1024 * 1024)
    expect(sent).toBeLessThan(total)
  })
})

const memoryBytes = () => process.memoryUsage().arrayBuffers

/** Sends `piece` `times` times, each after the one before has left, and ends. */
function sendRepeatedly(socket: TLSSocket, piece: Buffer, times: number): void {
  if (times === 0) socket.end()
  else socket.write(piece, () => sendRepeatedly(socket, piece, times - 1))
}

function count(socket: TLSSocket, tell: (bytes: number) => void): void {
  let total = 0
  socket.on('data', (bytes: Buffer) => {
    total += bytes.length
    if (bytes.subarray(-3).equals(Buffer.from('end'))) tell(total)
  })
}

/** Sends all of VeNCrypt before TLS at once without reading, then `more`, and `answer` to the client's last message. */
async function scripted(more: Buffer, answer?: Buffer) {
  const said = [Buffer.from('RFB 003.008\n'), Buffer.from([1, 19, 0, 2, 0, 1, 0, 0, 1, 4, 1]), more]
  const { promise: heard, resolve } = Promise.withResolvers<void>()
  const server = await serve((socket) => {
    socket.write(Buffer.concat(said))
    let length = 0
    socket.on('data', (bytes) => {
      length += bytes.length
      if (length <= VENCRYPT_ANSWER_BYTES) return
      resolve()
      if (answer) socket.write(answer)
    })
  })
  return { ...server, heard }
}

/** The size of ProtocolVersion, security type, VeNCrypt's version and subtype. TLS follows. */
const VENCRYPT_ANSWER_BYTES = 12 + 1 + 2 + 4

/** How much shorter one handshake may be than another: DER drops leading zeros of ECDSA's numbers. */
const SPREAD_BYTES = 8

/** Counts the bytes that a server sends up to the end of SecurityResult. */
async function handshakeBytes({ port }: VencryptServer): Promise<number> {
  let bytes = 0
  await using relay = await cutAfter(port, Number.POSITIVE_INFINITY, (length) => {
    bytes += length
  })
  using _opened = await secured({ host: '127.0.0.1', port: relay.port })
  return bytes
}

/** A relay to `port` that drops the connection after the first `limit` bytes from the server. */
function cutAfter(port: number, limit: number, tell: (length: number) => void = () => {}) {
  return serve((socket) => {
    const server = connect(port, '127.0.0.1').on('error', () => {})
    let left = limit
    server.on('data', (bytes) => {
      tell(bytes.length)
      socket.write(bytes.subarray(0, left))
      left -= bytes.length
      if (left <= 0) socket.end(() => server.destroy())
    })
    socket.on('data', (bytes) => server.write(bytes)).on('close', () => server.destroy())
    if (limit === 0) socket.end()
  })
}

async function serve(play: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    play(socket)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    host: '127.0.0.1' as const,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await once(server.close(), 'close')
    },
  }
}
