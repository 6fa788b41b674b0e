import { closeReasons } from '@oriel/contract'
import { parseListen } from '@oriel/runtime'
import { connectPeer, defaultTimeoutMs, type Peer, within } from '@oriel/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { connectRequest, ResponseHeader } from '../../src/consoles/webmks.ts'
import { GAP } from '../../src/serial/upstream.ts'
import { dial, INSTANCE, OTHER_TOKEN, type RunOptions, running, TOKEN, UPGRADE, upgrade } from '../fixture.ts'

const echo = async (peer: Peer) => {
  peer.socket.on('error', () => {})
  peer.socket.pipe(peer.socket)
  await peer.closed({ timeoutMs: 60_000 })
}
const serial = (options: RunOptions = {}) => running({ consoles: ['serial'], hypervisor: echo, ...options })

describe('serial', () => {
  it('relays text and binary frames as bytes with unchanged carriage returns, and answers in binary frames', async () => {
    await using run = await serial()
    using client = await dial(run.address)
    const kinds: boolean[] = []
    client.ws.on('message', (_, isBinary) => kinds.push(isBinary))
    client.ws.send('ls é\r')
    expect(await client.read(6)).toEqual(Buffer.from('ls é\r'))
    client.ws.send(Buffer.of(0x1b, 0xff, 0x0d, 0x0a))
    expect(await client.read(4)).toEqual(Buffer.of(0x1b, 0xff, 0x0d, 0x0a))
    expect(new Set(kinds)).toEqual(new Set([true]))
  })

  it.each([
    [['binary', 'base64'], 'binary'],
    [['base64', 'binary'], 'binary'],
    [[], ''],
  ])('answers a client that offers the subprotocols %j with %j', async (protocols, chosen) => {
    await using run = await serial()
    using client = await dial(run.address, { protocols })
    expect(client.ws.protocol).toBe(chosen)
  })

  it('refuses a client that offers only the subprotocol base64', async () => {
    await using run = await serial()
    const answer = await upgrade(run.address, undefined, ['Sec-WebSocket-Protocol: base64'])
    expect(answer.status).toBe(400)
  })

  it('relays all bytes that a client sends with its Upgrade', async () => {
    let heard = ''
    await using run = await serial({
      hypervisor: async (peer) => {
        heard = (await peer.read(5)).toString()
      },
    })
    const request = [`GET /?token=${TOKEN} HTTP/1.1`, `Host: ${run.address}`, ...UPGRADE, '', '']
    const frame = Buffer.concat([Buffer.of(0x82, 0x85, 0, 0, 0, 0), Buffer.from('early')])
    using client = await connectPeer(parseListen(run.address))
    await client.send(Buffer.concat([Buffer.from(request.join('\r\n')), frame]))
    await client.readToEnd()
    expect(heard).toBe('early')
  })

  it('relays all output from before the 101', async () => {
    await using run = await serial({
      hypervisor: async (peer) => {
        await peer.send(Buffer.from('login: '))
        await peer.closed({ timeoutMs: 60_000 })
      },
    })
    using client = await dial(run.address)
    expect((await client.read(7)).toString()).toBe('login: ')
  })
})

describe('a serial port with several sessions', () => {
  const FIRST = 'one\r\ntwo\r\nlogin: '
  /** A port that greets each connection, and echoes. */
  const greeting = (toml = '') =>
    serial({
      toml,
      hypervisor: async (peer) => {
        await peer.send(Buffer.from(FIRST))
        await echo(peer)
      },
    })
  const other = { path: `/?token=${OTHER_TOKEN}` }

  it('has one connection: the second session receives the earlier output, and then both the same', async () => {
    await using run = await greeting()
    using first = await dial(run.address)
    await first.read(FIRST.length)
    using second = await dial(run.address, other)
    expect(String(await second.read(FIRST.length))).toBe(FIRST)
    second.ws.send('from the second\r')
    for (const client of [first, second]) expect(String(await client.read(16))).toBe('from the second\r')
    expect(run.hypervisor.connections).toBe(1)
    expect(run.nova.requests.filter(({ url }) => url.includes(OTHER_TOKEN))).toHaveLength(1)
  })

  it('sends no input of a watcher, beside a session in control', async () => {
    const admission = (token: string) => (token === OTHER_TOKEN ? { role: 'watch' as const } : {})
    await using run = await serial({ admission })
    using control = await dial(run.address)
    using watcher = await dial(run.address, other)
    watcher.ws.send('reboot\r')
    await expect.poll(() => run.proxy.sessions().some(({ bytesToConsole }) => bytesToConsole === 7)).toBe(true)
    control.ws.send('ls\r')
    for (const client of [control, watcher]) expect(String(await client.read(3))).toBe('ls\r')
    expect(run.hypervisor.connections).toBe(1)
  })

  it('stays connected when the first session ends, and is closed with the last one', async () => {
    await using run = await greeting()
    using first = await dial(run.address)
    using second = await dial(run.address)
    first.ws.close()
    await first.closed()
    second.ws.send('x')
    expect(String(await second.read(FIRST.length + 1))).toBe(`${FIRST}x`)
    second.ws.close()
    await second.closed()
    using third = await dial(run.address)
    const expected = `${FIRST}x${GAP}${FIRST}`
    expect(String(await third.read(expected.length))).toBe(expected)
    expect(run.hypervisor.connections).toBe(2)
  })

  it('ends all sessions with console_closed when the guest closes it', async () => {
    const closing = Promise.withResolvers<void>()
    await using run = await serial({ hypervisor: () => closing.promise })
    const clients = await Promise.all([dial(run.address), dial(run.address)])
    closing.resolve()
    for (const client of clients)
      expect(await client.closed()).toMatchObject({ code: closeReasons.console_closed.code })
  })

  it('replays from the beginning of a line if older output was cut off', async () => {
    await using run = await greeting('[consoles.serial]\nreplay_bytes = 10')
    using first = await dial(run.address)
    await first.read(FIRST.length)
    using second = await dial(run.address)
    expect(String(await second.read(7))).toBe('login: ')
  })

  it.each([
    ['to a terminal that reconnects with replay=0', '', `/?token=${OTHER_TOKEN}&replay=0`],
    ['with replay_bytes = 0', '[consoles.serial]\nreplay_bytes = 0', `/?token=${OTHER_TOKEN}`],
  ])('sends no earlier output %s', async (_, toml, path) => {
    await using run = await greeting(toml)
    using first = await dial(run.address)
    await first.read(FIRST.length)
    using second = await dial(run.address, { path })
    second.ws.send('live')
    expect(String(await second.read(4))).toBe('live')
  })

  it('with the identity enforced, ends only the session that speaks a forbidden protocol', async () => {
    let heard = ''
    await using run = await serial({
      toml: '[hypervisor]\nidentity = "enforce"',
      hypervisor: async (peer) => {
        heard = String(await peer.read(1))
        await peer.send(Buffer.from('login: '))
        await peer.closed({ timeoutMs: 60_000 })
      },
    })
    using first = await dial(run.address)
    using second = await dial(run.address)
    second.ws.send('RFB 003.008\n')
    expect(await second.closed()).toMatchObject({ code: closeReasons.protocol_error.code })
    first.ws.send('x')
    expect(String(await first.read(7))).toBe('login: ')
    expect(heard).toBe('x')
  })

  it('with the identity enforced, refuses a forbidden protocol that two sessions send in parts', async () => {
    await using run = await serial({
      toml: '[hypervisor]\nidentity = "enforce"',
      hypervisor: (peer) => peer.closed({ timeoutMs: 60_000 }),
    })
    using first = await dial(run.address)
    using second = await dial(run.address)
    first.ws.send('R')
    await expect.poll(() => run.proxy.sessions().some(({ bytesToConsole }) => bytesToConsole === 1)).toBe(true)
    second.ws.send('FB')
    for (const client of [first, second])
      expect(await client.closed()).toMatchObject({ code: closeReasons.protocol_error.code })
  })
})

describe('spice-html5', () => {
  it('relays as many WebSockets with one token as SPICE has channels, each to a separate connection', async () => {
    await using run = await running({ consoles: ['spice-html5'], hypervisor: echo })
    const channels = await Promise.all(Array.from({ length: 10 }, () => dial(run.address)))
    for (const [i, channel] of channels.entries()) channel.ws.send(Buffer.from(`REDQ${i}`))
    const heard = await Promise.all(channels.map((channel) => channel.read(5)))
    expect(heard.map(String)).toEqual(channels.map((_, i) => `REDQ${i}`))
    expect(run.hypervisor.connections).toBe(10)
    expect(run.proxy.sessions()).toHaveLength(10)
    for (const channel of channels) channel.ws.terminate()
  })

  it('ends a session that sends text', async () => {
    await using run = await running({ consoles: ['spice-html5'], hypervisor: echo })
    using client = await dial(run.address)
    client.ws.send('REDQ')
    expect(await client.closed()).toMatchObject({ code: 1002 })
  })
})

const PATH = '{"ticket": "52 7d", "cfgFile": "[store] web-1/web-1.vmx"}'
const GOOD = 'HTTP/1.1 200 OK\r\nServer: mks\r\n\r\n'

/** A proxy whose MKS host plays `host` after the request. */
const webmks = (host: (peer: Peer) => Promise<void>, options: RunOptions = {}) =>
  running({
    consoles: ['webmks'],
    connectInfo: { internal_access_path: PATH },
    hypervisor: async (peer) => {
      peer.socket.on('error', () => {})
      await peer.expect(Buffer.from(`CONNECT ${PATH} HTTP/1.1\r\n\r\n`))
      await host(peer)
    },
    ...options,
  })

describe('CONNECT handshake loop: webmks', () => {
  it.each([
    ['at once', async (peer: Peer) => peer.send(Buffer.from(`${GOOD}first`))],
    ['byte by byte', async (peer: Peer) => peer.sendSlowly(Buffer.from(`${GOOD}first`))],
  ])('relays after a successful response that arrives %s with the first bytes', async (_, answer) => {
    await using run = await webmks(async (peer) => {
      await answer(peer)
      await echo(peer)
    })
    using client = await dial(run.address)
    expect((await client.read(5)).toString()).toBe('first')
    client.ws.send(Buffer.from('more'))
    expect((await client.read(4)).toString()).toBe('more')
  })

  it.each([
    ['a refusal', 'HTTP/1.1 403 Forbidden\r\n\r\n'],
    ['a refusal whose text contains 200', 'HTTP/1.1 403 Ticket 200 is gone\r\nX: HTTP/1.1 200 OK\r\n\r\n'],
    ['another status that begins with 200', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['status 200 on a second line', 'HTTP/1.1 500 Oops\r\nHTTP/1.1 200 OK\r\n\r\n'],
    ['another protocol', 'RFB 003.008\n'],
    ['another HTTP version', 'HTTP/2 200 OK\r\n\r\n'],
    ['garbage', '\u0000\u00ff\r\n\r\n'],
    ['a closed connection', ''],
    ['half a header', 'HTTP/1.1 200 OK\r\nServer:'],
    ['a header of 1 MiB', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1024 * 1024)}\r\n\r\n`],
    ['a status line without end', `HTTP/1.1 200 ${'x'.repeat(1024 * 1024)}`],
  ])('refuses %s with 502', async (_, answer) => {
    await using run = await webmks(async (peer) => {
      await peer.send(Buffer.from(answer, 'latin1')).catch(() => {})
      peer.end()
      await peer.closed()
    })
    expect(await upgrade(run.address)).toMatchObject({ status: 502 })
    expect(run.log.records('refused')).toMatchObject([{ refusal: 'console_unreachable' }])
  })

  it('limits a response header that arrives byte by byte with one deadline', async () => {
    await using run = await webmks(
      async (peer) => {
        await peer.send(Buffer.from('HTTP/1.1 200 OK\r\nX: '))
        const timer = setInterval(() => peer.socket.write('x'), 20)
        await peer.closed().finally(() => clearInterval(timer))
      },
      { timing: { hypervisorHandshakeMs: 200 } },
    )
    expect(await upgrade(run.address)).toMatchObject({ status: 504 })
    expect(run.log.records('refused')).toMatchObject([{ refusal: 'console_timeout' }])
  })

  it('relays at once without an internal access path', async () => {
    await using run = await running({ consoles: ['webmks'], hypervisor: echo })
    using client = await dial(run.address)
    client.ws.send(Buffer.from('raw'))
    expect((await client.read(3)).toString()).toBe('raw')
  })

  it('sends nothing to a host when the path would end the request line', async () => {
    let heard: Buffer = Buffer.alloc(0)
    await using run = await running({
      consoles: ['webmks'],
      connectInfo: { internal_access_path: 'x HTTP/1.1\r\nX-Injected: 1' },
      hypervisor: async (peer) => {
        heard = await peer.readToEnd()
      },
    })
    expect(await upgrade(run.address)).toMatchObject({ status: 502 })
    await run.hypervisor.finished()
    expect(heard).toHaveLength(0)
  })

  it('closes the connection to the host when the client disconnects during the handshake', async () => {
    const left = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    await using run = await webmks(async (peer) => {
      asked.resolve()
      await peer.closed()
      left.resolve()
    })
    using client = await connectPeer(parseListen(run.address))
    const request = [`GET /?token=${TOKEN} HTTP/1.1`, `Host: ${run.address}`, ...UPGRADE, '', '']
    await client.send(Buffer.from(request.join('\r\n')))
    await asked.promise
    client.socket.resetAndDestroy()
    await within(left.promise, defaultTimeoutMs, () => 'the host is still held')
  })
})

describe('CVE-2023-30575 length mis-count: the response to CONNECT', () => {
  it('is parsed the same in any pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(fc.nat(80)), (after, cuts) => {
        const all = Buffer.concat([Buffer.from(GOOD), after])
        const header = new ResponseHeader()
        const places = [...new Set(cuts.map((cut) => cut % all.length))].sort((a, b) => a - b)
        const pieces = [0, ...places].map((from, i) => all.subarray(from, places[i] ?? all.length))
        const rest: Uint8Array[] = []
        let through = false
        for (const piece of pieces) {
          const followed: Uint8Array | undefined = through ? piece : header.push(piece)
          through ||= followed !== undefined
          if (followed) rest.push(followed)
        }
        expect(Buffer.concat(rest)).toEqual(Buffer.from(after))
      }),
    )
  })

  it('is requested without a further line for any path', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (path) => {
        try {
          expect(
            connectRequest(path)
              .toString('latin1')
              .split(/[\r\n]/),
          ).toHaveLength(5)
        } catch (error) {
          expect((error as Error).name).toBe('Refused')
        }
      }),
    )
  })
})

it('one listener serves every console type below its prefix', async () => {
  await using run = await running({ consoles: ['serial', 'spice-html5', 'webmks'], hypervisor: echo })
  for (const type of ['serial', 'spice-html5', 'webmks']) {
    using client = await dial(run.address, { path: `/${type}/?token=${TOKEN}` })
    client.ws.send(Buffer.from(type))
    expect((await client.read(type.length)).toString()).toBe(type)
    expect(run.proxy.sessions().map((session) => [session.type, session.instance])).toContainEqual([type, INSTANCE])
  }
})
