import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { closeReasons } from '@oriel/contract'
import { parseListen } from '@oriel/runtime'
import { connectPeer, defaultTimeoutMs, type Peer, within } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import {
  ADMIN_TOKEN,
  dial,
  INSTANCE,
  OTHER_TOKEN,
  open,
  running,
  shakeThen,
  TOKEN,
  UPGRADE,
  upgrade,
} from '../fixture.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const reasonOf = (name: keyof typeof closeReasons) => ({ code: closeReasons[name].code, text: closeReasons[name].text })

describe('the relay', () => {
  it('keeps all bytes in order with megabytes in both directions at once', async () => {
    const down = randomBytes(24 * 1024 * 1024)
    const up = randomBytes(6 * 1024 * 1024)
    const heard = Promise.withResolvers<Buffer>()
    await using proxy = await running({
      guest: async (peer) => {
        await peer.expect(Buffer.of(1))
        const reading = peer.read(up.length, { timeoutMs: 20_000 })
        await Promise.all([peer.send(down, { timeoutMs: 20_000 }), reading.then(heard.resolve)])
      },
    })
    using client = await open(proxy.address)
    client.ws.send(Buffer.of(1))
    for (let at = 0; at < up.length; at += 30_011) client.ws.send(up.subarray(at, at + 30_011))
    expect(sha256(await collect(client.ws, down.length))).toBe(sha256(down))
    expect(sha256(await heard.promise)).toBe(sha256(up))
    await expect.poll(() => proxy.log.records('session ended')).toHaveLength(1)
    expect(proxy.log.records('session ended')[0]).toMatchObject({
      bytesToClient: down.length,
      bytesToConsole: up.length + 1,
    })
  })

  it('keeps bytes that the client sent with its handshake, and the hypervisor before the client was ready', async () => {
    await using proxy = await running({
      guest: async (peer) => {
        await peer.send(Buffer.from('early'))
        await peer.expect(Buffer.from('shared'))
      },
    })
    using client = await dial(proxy.address)
    await client.read(12)
    client.ws.send(Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.of(1), Buffer.from('shared')]))
    expect((await client.read(6 + 5)).subarray(6).toString()).toBe('early')
    expect(await client.closed()).toEqual(reasonOf('console_closed'))
  })

  it('keeps what the hypervisor sends between 101 and the end of the client’s handshake', async () => {
    const opened = Promise.withResolvers<void>()
    const sent = Promise.withResolvers<void>()
    await using proxy = await running({
      guest: async (peer) => {
        await opened.promise
        await peer.send(Buffer.from('early'))
        sent.resolve()
        await peer.closed()
      },
    })
    using client = await dial(proxy.address)
    opened.resolve()
    await sent.promise
    await client.read(12)
    client.ws.send(Buffer.from('RFB 003.008\n'))
    await client.read(2)
    client.ws.send(Buffer.of(1))
    expect((await client.read(4 + 5)).subarray(4).toString()).toBe('early')
  })

  it('relays fragments and tiny messages of a client', async () => {
    const heard = Promise.withResolvers<Buffer>()
    await using proxy = await running({ guest: async (peer) => heard.resolve(await peer.read(3003)) })
    using client = await open(proxy.address)
    for (let i = 0; i < 3000; i += 1) client.ws.send(Buffer.of(i & 255))
    for (const byte of [1, 2, 3]) client.ws.send(Buffer.of(byte), { fin: byte === 3 })
    const bytes = await heard.promise
    expect([...bytes.subarray(0, 3000)]).toEqual(Array.from({ length: 3000 }, (_, i) => i & 255))
    expect([...bytes.subarray(3000)]).toEqual([1, 2, 3])
  })

  it('CVE-2017-15268 slow reader: 512 MB for a client that never reads cost under 16 MB, then the session ends as stalled', async () => {
    const total = 512 * 1024 * 1024
    let sent = 0
    await using proxy = await running({
      guest: async (peer) => {
        await peer.expect(Buffer.of(1))
        const piece = Buffer.alloc(1024 * 1024, 7)
        for (; sent < total && !peer.socket.destroyed; sent += piece.length) await taken(peer, piece)
      },
      timing: { stalledAfterMs: 400, closeTimeoutMs: 100 },
    })
    using client = await open(proxy.address)
    client.ws.send(Buffer.of(1))
    client.ws.pause()
    const before = memoryBytes()
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

  it('CVE-2017-15268 slow reader: small pieces in separate buffers cost no more', async () => {
    await using proxy = await running({
      guest: async (peer) => {
        await peer.expect(Buffer.of(1))
        // Allocated once, so that the guest's own memory is not counted.
        const pieces = Array.from({ length: 64 }, (_, i) => Buffer.alloc(1200, i))
        while (!peer.socket.destroyed) for (const piece of pieces) await taken(peer, piece)
      },
      timing: { stalledAfterMs: 400, closeTimeoutMs: 100 },
    })
    using client = await open(proxy.address)
    client.ws.send(Buffer.of(1))
    client.ws.pause()
    const before = process.memoryUsage().arrayBuffers
    let peak = before
    const meter = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().arrayBuffers)
    }, 10)
    await expect.poll(() => proxy.log.records('session ended')).toHaveLength(1)
    clearInterval(meter)
    expect(proxy.log.records('session ended')[0]).toMatchObject({ reason: 'client_stalled' })
    expect(peak - before).toBeLessThan(16 * 1024 * 1024)
  })

  it('keeps the session of a client that reads again', async () => {
    const down = randomBytes(32 * 1024 * 1024)
    await using proxy = await running({
      guest: async (peer) => {
        await peer.expect(Buffer.of(1))
        await peer.send(down, { timeoutMs: 20_000 })
      },
    })
    using client = await open(proxy.address)
    client.ws.send(Buffer.of(1))
    client.ws.pause()
    await expect.poll(() => proxy.proxy.sessions()[0]?.bytesToClient).toBeGreaterThan(256 * 1024)
    client.ws.resume()
    expect(sha256(await collect(client.ws, down.length))).toBe(sha256(down))
  })

  it('waits for a console that reads nothing for a while, and loses no byte', async () => {
    const up = randomBytes(24 * 1024 * 1024)
    const heard = Promise.withResolvers<Buffer>()
    const reads = Promise.withResolvers<void>()
    await using proxy = await running({
      guest: async (peer) => {
        peer.socket.pause()
        await reads.promise
        peer.socket.resume()
        heard.resolve(await peer.read(up.length, { timeoutMs: 20_000 }))
      },
    })
    using client = await open(proxy.address)
    for (let at = 0; at < up.length; at += 500_000) client.ws.send(up.subarray(at, at + 500_000))
    await expect.poll(() => proxy.proxy.sessions()[0]?.bytesToConsole).toBeGreaterThan(0)
    expect(proxy.proxy.sessions()[0]?.bytesToConsole).toBeLessThan(up.length)
    reads.resolve()
    expect(sha256(await heard.promise)).toBe(sha256(up))
  })

  it('stops reading a client whose console reads nothing, and ends as console_lost', async () => {
    await using proxy = await running({
      guest: async (peer) => {
        peer.socket.pause()
        await peer.closed()
      },
      timing: { stalledAfterMs: 300, closeTimeoutMs: 60_000 },
    })
    using client = await open(proxy.address)
    const piece = Buffer.alloc(512 * 1024)
    for (let i = 0; i < 64; i += 1) client.ws.send(piece)
    expect(await client.closed()).toEqual(reasonOf('console_lost'))
    const [end] = proxy.log.records('session ended')
    expect(end).toMatchObject({ reason: 'console_lost', detail: 'the hypervisor reads no input' })
    expect(end!.bytesToConsole).toBeLessThan(64 * piece.length)
  })
})

describe('how a session ends', () => {
  it('console_closed: the hypervisor closes the connection', async () => {
    await using proxy = await running({ guest: async () => {} })
    using client = await open(proxy.address)
    expect(await client.closed()).toEqual(reasonOf('console_closed'))
  })

  it('console_lost: the hypervisor resets the connection', async () => {
    await using proxy = await running({
      guest: async (peer) => {
        await peer.expect(Buffer.of(1))
        peer.socket.resetAndDestroy()
      },
    })
    using client = await open(proxy.address)
    client.ws.send(Buffer.of(1))
    expect(await client.closed()).toEqual(reasonOf('console_lost'))
  })

  it('client_closed: the client closes, and its resources are released at once', async () => {
    const gone = Promise.withResolvers<void>()
    await using proxy = await running({ guest: (peer) => peer.closed().then(gone.resolve, gone.reject) })
    using client = await open(proxy.address)
    client.ws.close(1000)
    await gone.promise
    expect(proxy.log.records('session ended')[0]).toMatchObject({ reason: 'client_closed' })
    await expect.poll(() => proxy.proxy.sessions()).toEqual([])
  })

  it('client_lost: the client vanishes, and its resources are released at once', async () => {
    const gone = Promise.withResolvers<void>()
    await using proxy = await running({
      guest: (peer) => peer.closed().then(gone.resolve, gone.reject),
      toml: '[sessions]\nmax_total = 1',
    })
    using client = await open(proxy.address)
    client.ws.terminate()
    await gone.promise
    expect(proxy.log.records('session ended')[0]).toMatchObject({ reason: 'client_lost' })
    await expect.poll(() => proxy.proxy.sessions()).toEqual([])
    using _next = await open(proxy.address)
  })

  it('client_lost: two pings stay unanswered', async () => {
    await using proxy = await running({ timing: { pingIntervalMs: 30 } })
    using client = await dial(proxy.address, { autoPong: false })
    // Send the whole handshake at once: there is no time to wait for replies.
    client.ws.send(Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.of(1)]))
    expect(await client.closed()).toEqual(reasonOf('client_lost'))
    expect(client.pings).toBe(2)
  })

  it('answered pings keep the session open', async () => {
    await using proxy = await running({ timing: { pingIntervalMs: 10 } })
    using client = await open(proxy.address)
    for (let i = 0; i < 10; i += 1) await within(once(client.ws, 'ping'), 5_000, () => `ping ${i} did not come`)
    expect(proxy.proxy.sessions()).toHaveLength(1)
  })

  it('idle and time_limit: the configured times pass', async () => {
    await using idle = await running({ timing: { idleTimeoutMs: 40 } })
    using one = await dial(idle.address)
    expect(await one.closed()).toEqual(reasonOf('idle'))
    await using limited = await running({ timing: { maxSessionMs: 40 } })
    using two = await dial(limited.address)
    expect(await two.closed()).toEqual(reasonOf('time_limit'))
  })

  it('protocol_error: the client sends text frames during or after the handshake', async () => {
    await using proxy = await running()
    using early = await dial(proxy.address)
    early.ws.send('RFB 003.008\n')
    expect(await early.closed()).toEqual(reasonOf('protocol_error'))
    using late = await open(proxy.address)
    late.ws.send('hello')
    expect(await late.closed()).toEqual(reasonOf('protocol_error'))
  })

  it('protocol_error: the client floods the proxy during the handshake', async () => {
    await using proxy = await running()
    using client = await dial(proxy.address)
    client.ws.send(Buffer.alloc(5000))
    expect(await client.closed()).toEqual(reasonOf('protocol_error'))
  })

  it('client_lost: the client does not perform the handshake', async () => {
    await using proxy = await running({ timing: { clientHandshakeMs: 50 } })
    using client = await dial(proxy.address)
    expect(await client.closed()).toEqual(reasonOf('client_lost'))
  })

  it('message_too_big: the client sends a message above the limit', async () => {
    await using proxy = await running()
    using client = await open(proxy.address)
    client.ws.send(Buffer.alloc(1024 * 1024 + 1))
    expect((await client.closed()).code).toBe(closeReasons.message_too_big.code)
    expect(proxy.log.records('session ended')[0]).toMatchObject({ reason: 'message_too_big' })
  })

  it('CVE-2026-48779 ws: an endless fragmented message is refused', async () => {
    await using proxy = await running()
    using client = await open(proxy.address)
    for (let i = 0; i < 20_000; i += 1) client.ws.send(Buffer.of(1), { fin: false })
    expect((await client.closed()).code).not.toBe(1000)
    await expect.poll(() => proxy.proxy.sessions()).toEqual([])
  })

  it('CVE-2023-3354 disconnect in handshake: a client that disconnects after any byte leaves no session behind', async () => {
    await using proxy = await running()
    const frames = Buffer.concat([masked(Buffer.from('RFB 003.008\n')), masked(Buffer.of(1)), masked(Buffer.of(1))])
    for (let length = 0; length <= frames.length; length += 1) {
      using peer = await connectPeer(parseListen(proxy.address))
      await peer.send(Buffer.from([`GET /?token=${TOKEN} HTTP/1.1`, 'Host: h', ...UPGRADE, '', ''].join('\r\n')))
      await peer.read(12)
      await peer.send(frames.subarray(0, length))
      peer.socket.resetAndDestroy()
    }
    await expect.poll(() => proxy.log.records('session ended').length).toBe(frames.length + 1)
    await expect.poll(() => proxy.proxy.sessions()).toEqual([])
    using _client = await open(proxy.address)
  })
})

describe('draining', () => {
  it('reports not ready, closes sessions with 1001, and stops listening', async () => {
    const proxy = await running({ toml: '[admin]\nlisten = "127.0.0.1:0"' })
    using client = await open(proxy.address)
    const { address } = proxy
    const disposed = proxy[Symbol.asyncDispose]()
    expect(await client.closed()).toEqual(reasonOf('draining'))
    await disposed
    await expect(connectOnce(address)).rejects.toThrow('ECONNREFUSED')
    expect(proxy.log.records('session ended')[0]).toMatchObject({ reason: 'draining' })
  })

  it('refuses a connect in progress, and frees the admin port for a successor', async () => {
    await using proxy = await running({
      toml: '[admin]\nlisten = "127.0.0.1:0"',
      timing: { drainMs: 60_000, closeTimeoutMs: 60_000 },
    })
    using mute = await open(proxy.address)
    mute.ws.pause()
    proxy.nova.behave('hang')
    // Nova may be asked for names only now.
    const lookUps = () => proxy.nova.requests.filter(({ url }) => url.includes('os-console-auth-tokens')).length
    const asked = lookUps()
    const answer = upgrade(proxy.address)
    await expect.poll(lookUps).toBe(asked + 1)
    const disposed = proxy.proxy[Symbol.asyncDispose]()
    await expect(connectOnce(proxy.proxy.admin!)).rejects.toThrow('ECONNREFUSED')
    mute.ws.resume()
    expect((await answer).status).toBe(503)
    await disposed
    expect(proxy.log.records('refused')).toMatchObject([{ refusal: 'draining' }])
  })

  it('opens no console that was being dialled when the drain began', async () => {
    const dialled = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    let connections = 0
    await using proxy = await running({
      hypervisor: async (peer) => {
        connections += 1
        if (connections > 1) {
          dialled.resolve()
          await gate.promise
        }
        await shakeThen(peer, (guest) => guest.closed())
      },
      timing: { drainMs: 60_000, closeTimeoutMs: 60_000 },
    })
    using mute = await open(proxy.address)
    mute.ws.pause()
    const answer = upgrade(proxy.address)
    await dialled.promise
    const disposed = proxy.proxy[Symbol.asyncDispose]()
    gate.resolve()
    expect((await answer).status).toBe(503)
    mute.ws.resume()
    await disposed
    expect(proxy.log.records('session opened')).toHaveLength(1)
  })

  it('drops a client that does not answer its close frame', async () => {
    const proxy = await running({ timing: { drainMs: 50, closeTimeoutMs: 60_000 } })
    using client = await open(proxy.address)
    client.ws.pause()
    await within(Promise.resolve(proxy[Symbol.asyncDispose]()), defaultTimeoutMs, () => 'the drain did not end')
  })
})

describe('the log of sessions', () => {
  it('has openings, ends and refusals with instance, client, listener, duration and reason', async () => {
    await using proxy = await running({ guest: async (peer) => peer.expect(Buffer.of(9)) })
    await upgrade(proxy.address, '/')
    using client = await open(proxy.address)
    client.ws.send(Buffer.of(9))
    await client.closed()
    const facts = { instance: INSTANCE, client: '127.0.0.1', listener: proxy.address, type: 'novnc' }
    expect(proxy.log.records('session opened')).toMatchObject([facts])
    expect(proxy.log.records('session ended')).toMatchObject([
      { ...facts, reason: 'console_closed', bytesToConsole: 1, bytesToClient: 0, durationMs: expect.any(Number) },
    ])
    expect(proxy.log.records('refused')).toMatchObject([
      { refusal: 'missing_token', client: '127.0.0.1', listener: proxy.address },
    ])
  })

  it('CVE-2015-9543 tokens in logs: contains no token at the most verbose level in any flow', async () => {
    await using proxy = await running({ guest: async (peer) => void (await peer.readToEnd()) })
    const secret = '5ec7e7-unknown-token-of-nobody'
    const headers = { Cookie: `token=${TOKEN}`, Referer: `http://h/?token=${TOKEN}`, Origin: `http://${proxy.address}` }
    using client = await open(proxy.address, { headers })
    client.ws.close()
    await client.closed()
    using byCookie = await open(proxy.address, { path: '/', headers })
    byCookie.ws.terminate()
    await upgrade(proxy.address, `/?token=${secret}`)
    await upgrade(proxy.address, `/?token=${secret}&x=..`, ['Origin: http://evil.example'])
    for (const behaviour of [500, 'reset'] as const) {
      proxy.nova.behave(behaviour)
      await upgrade(proxy.address, `/?token=${OTHER_TOKEN}`)
    }
    // A separate proxy with a short deadline, which no answered look-up may reach.
    await using impatient = await running({ timeoutMs: 100 })
    impatient.nova.behave('hang')
    await upgrade(impatient.address, `/?token=${OTHER_TOKEN}`)
    await fetch(`http://${proxy.address}/vnc.html?path=%3Ftoken%3D${TOKEN}`)
    expect([proxy, impatient].map(({ log }) => log.records('refused').length)).toEqual([4, 1])
    const logged = proxy.log.text() + impatient.log.text()
    for (const text of [TOKEN, OTHER_TOKEN, secret, ADMIN_TOKEN]) expect(logged).not.toContain(text)
  })

  it('CVE-2025-54289 secrets in listings: the session list shows no token', async () => {
    await using proxy = await running()
    using _client = await open(proxy.address)
    const text = JSON.stringify(proxy.proxy.sessions())
    expect(text).toContain(INSTANCE)
    expect(text).not.toContain(TOKEN)
  })
})

/** Sends a piece. Ignores a closed connection. */
async function taken(peer: Peer, piece: Buffer): Promise<void> {
  await peer.send(piece, { timeoutMs: 30_000 }).catch((error: unknown) => {
    if (!peer.socket.destroyed) throw error
  })
}

async function collect(ws: { on(event: 'message', listener: (data: Buffer) => void): unknown }, length: number) {
  const pieces: Buffer[] = []
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  let got = 0
  ws.on('message', (data) => {
    pieces.push(data)
    got += data.length
    if (got >= length) resolve(Buffer.concat(pieces))
  })
  return within(promise, 30_000, () => `${got} of ${length} bytes came`)
}

function memoryBytes(): number {
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

async function connectOnce(address: string): Promise<void> {
  const socket = connect(parseListen(address))
  await once(socket, 'connect')
  socket.destroy()
}

/** A client's binary frame with a mask of zeros. */
function masked(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0x82, 0x80 | payload.length, 0, 0, 0, 0), payload])
}
