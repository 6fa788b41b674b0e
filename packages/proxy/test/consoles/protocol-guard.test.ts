/** Console types that are relayed without parsing, with servers whose protocol identifies the guest. */
import type { Peer } from '@oriel/testkit'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  guardProtocol,
  identifying,
  NONE_THAT_IDENTIFIES,
  type ProtocolRule,
} from '../../src/consoles/protocol-guard.ts'
import { dial, type RunOptions, running, TOKEN } from '../fixture.ts'
import { cut, scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const NONE = Buffer.alloc(0)
const SPICE_ONLY: ProtocolRule = { only: identifying.spice }
const GREETINGS = {
  RFB: Buffer.from('RFB 003.008\n'),
  SPICE: Buffer.from('REDQ\x02\0\0\0\x02\0\0\0'),
  TLS: Buffer.of(0x16, 3, 3, 0, 90, 2),
  HTTP: Buffer.from('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
}
const HANDSHAKE = Buffer.from('GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: binary\r\n\r\n')
/** The first bytes of a client that speaks one of the protocols above. */
const CLIENTS = { ...GREETINGS, HTTP: HANDSHAKE }

describe('a guarded leg', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())
  const guarded = (rule: ProtocolRule = NONE_THAT_IDENTIFIES) => {
    const leg = scriptedLeg()
    return { ...leg, ...viewerOf(guardProtocol(leg.leg, rule)) }
  }
  const anyCuts = fc.array(fc.nat(1000), { maxLength: 8 })

  it.each(Object.entries(GREETINGS))(
    'ends before relaying a byte of a server that speaks %s, in any pieces',
    (_, greeting) =>
      fc.assert(
        fc.asyncProperty(anyCuts, fc.uint8Array({ maxLength: 40 }), async (cuts, after) => {
          const { say, seen, closed, lent } = guarded()
          for (const piece of cut(Buffer.concat([greeting, after]), cuts)) say(piece)
          expect(await closed).toMatchObject({ reason: 'wrong_instance' })
          expect(seen()).toHaveLength(0)
          expect(lent()).toBe(0)
        }),
        { numRuns: 100 },
      ),
  )

  it.each(Object.entries(CLIENTS))(
    'ends before the server receives the signature of a client that speaks %s, in any pieces',
    (_, words) =>
      fc.assert(
        fc.asyncProperty(anyCuts, async (cuts) => {
          const { write, heard, closed } = guarded()
          for (const piece of cut(Buffer.concat([words, Buffer.from('keys')]), cuts)) write(piece)
          expect(await closed).toMatchObject({ reason: 'protocol_error' })
          expect(heard().length).toBeLessThan(4)
        }),
        { numRuns: 100 },
      ),
  )

  it('relays all other output in order, in any pieces and with any pauses', () => {
    const output = fc
      .uint8Array({ maxLength: 40 })
      .map((bytes) => Buffer.from(bytes))
      .filter((bytes) => !Object.values(GREETINGS).some((greeting) => bytes.indexOf(greeting.subarray(0, 2)) === 0))
    fc.assert(
      fc.property(output, anyCuts, fc.array(fc.boolean(), { maxLength: 8 }), (bytes, cuts, pauses) => {
        const { say, seen, lent } = guarded()
        for (const [i, piece] of cut(bytes, cuts).entries()) {
          say(piece)
          if (pauses[i]) vi.advanceTimersByTime(1000)
        }
        vi.advanceTimersByTime(1000)
        expect(seen()).toEqual(bytes)
        expect(lent()).toBe(0)
      }),
      { numRuns: 200 },
    )
  })

  it('relays the R of a serial console that prints R and waits after 100 ms', () => {
    const { say, seen } = guarded()
    say(Buffer.from('R'))
    vi.advanceTimersByTime(99)
    expect(seen()).toHaveLength(0)
    vi.advanceTimersByTime(1)
    expect(seen().toString()).toBe('R')
    say(Buffer.from('oot login: '))
    expect(seen().toString()).toBe('Root login: ')
  })

  it('ends when a greeting of one byte per minute is complete, without relaying the last byte', async () => {
    const { say, seen, closed } = guarded()
    for (const byte of GREETINGS.RFB) {
      say(Buffer.of(byte))
      vi.advanceTimersByTime(60_000)
    }
    expect(await closed).toMatchObject({ reason: 'wrong_instance' })
    expect(seen().toString()).toBe('RFB')
  })

  it('allows the client to type GET once the console has printed something else', () => {
    const { say, write, heard } = guarded()
    say(Buffer.from('> '))
    expect(write(HANDSHAKE)).toBe(true)
    expect(heard()).toEqual(HANDSHAKE)
  })

  it('allows the client to type words that only begin as GET does', () => {
    const { write, heard } = guarded()
    for (const byte of Buffer.from('GETTY')) write(Buffer.of(byte))
    expect(heard().toString()).toBe('GETTY')
  })

  it('allows the client to type RFB once the console has printed something else', () => {
    const { say, write, heard } = guarded()
    say(Buffer.from('login: '))
    expect(write(Buffer.from('RFB 003.008\n'))).toBe(true)
    expect(heard().toString()).toBe('RFB 003.008\n')
  })

  it('relays held bytes when the leg ends', async () => {
    const { say, end, closed, seen } = guarded()
    say(Buffer.from('R'))
    end(undefined)
    expect(await closed).toBeUndefined()
    expect(seen().toString()).toBe('R')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('relays only SPICE under a rule for SPICE', async () => {
    const spice = guarded(SPICE_ONLY)
    spice.write(GREETINGS.SPICE)
    for (const byte of GREETINGS.SPICE) spice.say(Buffer.of(byte))
    expect(spice.seen()).toEqual(GREETINGS.SPICE)
    expect(spice.heard()).toEqual(GREETINGS.SPICE)
    for (const other of [
      GREETINGS.RFB,
      GREETINGS.TLS,
      GREETINGS.HTTP,
      HANDSHAKE,
      Buffer.from('login: '),
      Buffer.from('REDX'),
    ]) {
      const { say, seen, closed } = guarded(SPICE_ONLY)
      for (const byte of other) say(Buffer.of(byte))
      expect(await closed).toMatchObject({ reason: 'wrong_instance' })
      expect(seen()).toEqual(NONE)
      const { write, heard, closed: clientClosed } = guarded(SPICE_ONLY)
      write(other)
      expect(await clientClosed).toMatchObject({ reason: 'protocol_error' })
      expect(heard()).toEqual(NONE)
    }
  })
})

const ENFORCE = '[hypervisor]\nidentity = "enforce"'
const saying = (bytes: Buffer) => async (peer: Peer) => {
  await peer.send(bytes)
  await peer.closed({ timeoutMs: 60_000 })
}
/** Opens the console at `path` of a server that sends `bytes` first, or after the client has sent bytes. */
async function opened(path: string, hypervisor: RunOptions['hypervisor'], send?: Buffer, more: RunOptions = {}) {
  const consoles = ['novnc', 'serial', 'spice-html5', 'webmks']
  await using run = await running({ consoles, toml: ENFORCE, hypervisor: hypervisor!, ...more })
  using client = await dial(run.address, { path: `${path}?token=${TOKEN}` })
  let received = 0
  client.ws.on('message', (data: Buffer) => {
    received += data.length
  })
  if (send) client.ws.send(send)
  const { code } = await client.closed()
  return { code, received, detail: String(run.log.records('session ended')[0]?.detail) }
}

describe('with identity enforced, a listener of several types', () => {
  it.each(['/serial/', '/spice-html5/', '/webmks/'])(
    'refuses a VNC console at %s before relaying a byte',
    async (path) => {
      const { code, received, detail } = await opened(path, saying(GREETINGS.RFB))
      expect({ code, received }).toEqual({ code: 4009, received: 0 })
      expect(detail).toContain(path === '/spice-html5/' ? 'does not speak SPICE' : 'the server speaks RFB')
    },
  )

  it.each(['/serial/', '/webmks/'])('refuses a SPICE console at %s before relaying a byte', async (path) => {
    const { code, received } = await opened(path, saying(GREETINGS.SPICE))
    expect({ code, received }).toEqual({ code: 4009, received: 0 })
  })

  it('refuses a client that speaks SPICE at /serial/, and sends the server no link message', async () => {
    let heard: Buffer = NONE
    const { code } = await opened(
      '/serial/',
      async (peer) => {
        heard = await peer.readToEnd()
      },
      GREETINGS.SPICE,
    )
    expect(code).toBe(1002)
    expect(heard).toHaveLength(0)
  })

  it.each(['/serial/', '/webmks/'])('refuses VNC in WebSocket frames at %s before relaying a byte', async (path) => {
    const { code, received, detail } = await opened(path, saying(GREETINGS.HTTP))
    expect({ code, received }).toEqual({ code: 4009, received: 0 })
    expect(detail).toContain('the server speaks HTTP')
  })

  it.each(['/serial/', '/webmks/'])('refuses a client that sends a WebSocket handshake through %s', async (path) => {
    let heard: Buffer = NONE
    const hear = async (peer: Peer) => {
      heard = await peer.readToEnd()
    }
    expect(await opened(path, hear, HANDSHAKE)).toMatchObject({ code: 1002 })
    expect(heard).toHaveLength(0)
  })

  it.each([
    ['with its response', (peer: Peer, answer: Buffer) => peer.send(Buffer.concat([answer, GREETINGS.HTTP]))],
    [
      'after the client has sent bytes',
      async (peer: Peer, answer: Buffer) => {
        await peer.send(answer)
        await peer.expect(Buffer.from('MKS'))
        await peer.send(GREETINGS.HTTP)
      },
    ],
  ])('refuses a host that answers CONNECT and then speaks HTTP %s', async (_, speak) => {
    const host = async (peer: Peer) => {
      await peer.expect(Buffer.from('CONNECT x HTTP/1.1\r\n\r\n'))
      await speak(peer, Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))
      await peer.closed({ timeoutMs: 60_000 })
    }
    const connectInfo = { internal_access_path: 'x' }
    const { code, received } = await opened('/webmks/', host, Buffer.from('MKS'), { connectInfo })
    expect({ code, received }).toEqual({ code: 4009, received: 0 })
  })

  it('refuses a serial console at /spice-html5/', async () => {
    expect(await opened('/spice-html5/', saying(Buffer.from('login: ')))).toMatchObject({ code: 4009, received: 0 })
  })
})

describe('with identity set to warn', () => {
  it("relays a VNC console at /serial/, and logs the server's protocol", async () => {
    const toml = '[hypervisor]\nidentity = "warn"'
    await using run = await running({ consoles: ['serial'], toml, hypervisor: saying(GREETINGS.RFB) })
    using client = await dial(run.address)
    expect(await client.read(12)).toEqual(GREETINGS.RFB)
    expect(run.log.records('this guest may not be the instance')).toMatchObject([{ detail: 'the server speaks RFB' }])
  })
})
