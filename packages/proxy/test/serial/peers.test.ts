/** Two hubs, as of two processes, the second of which reads along the ports of the first through a Unix socket. */

import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { Secret } from '@oriel/runtime'
import { temporaryFolder } from '@oriel/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LegFault, type SecuredLeg } from '../../src/hypervisor/leg.ts'
import { Refused } from '../../src/refused.ts'
import { SerialHub } from '../../src/serial/hub.ts'
import { FrameParser, type FrameType, frameHeader } from '../../src/serial/peer-frames.ts'
import { joinAtPeer } from '../../src/serial/peer-leg.ts'
import { type PeerAddress, PeerServer } from '../../src/serial/peer-server.ts'
import type { JoinForPeer, SerialPeers } from '../../src/serial/peers.ts'
import { cut, scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const SETTINGS = { maxBytes: 1024, keepMs: 1000 }
const never = new AbortController().signal
const gone = async () => Promise.reject(new Error('dialled'))

/** A hub whose port the test plays, and a second one that reaches it through `address`. */
async function pair() {
  const port = scriptedLeg()
  let joinPort: JoinForPeer = () => undefined
  const holding: SerialPeers = {
    serve: (served) => {
      joinPort = served
    },
    open: (_, dial, signal) => dial(signal),
    release: () => {},
  }
  const holder = new SerialHub(SETTINGS, holding)
  const asked = Promise.withResolvers<void>()
  await using opened = new AsyncDisposableStack()
  const folder = opened.use(await temporaryFolder())
  const joinForPeer: JoinForPeer = (portId, signal) => {
    asked.resolve()
    return joinPort(portId, signal)
  }
  const server = opened.use(await PeerServer.start(joinForPeer, folder.path))
  const { address } = server
  const reading: SerialPeers = {
    serve: () => {},
    open: async (portId, _, signal) => (await joinAtPeer(address, portId, signal)) ?? gone(),
    release: () => {},
  }
  const other = new SerialHub(SETTINGS, reading)
  const open = async (): Promise<SecuredLeg> => ({ hypervisor: port.leg, rest: Buffer.alloc(0) })
  const joining = (replay: boolean) => ({ portId: 'a', replay, open, signal: never })
  const close = opened.move()
  return {
    ...{ port, holder, other, address, asked: asked.promise },
    here: (replay = true) => holder.join(joining(replay)),
    there: (replay = true) => other.join(joining(replay)),
    say: (text: string) => port.say(Buffer.from(text)),
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

const seen = (viewer: ReturnType<typeof viewerOf>) => String(viewer.seen())

describe('a serial port that another process has open', () => {
  it('shows its earlier output and then the live one, and takes input', async () => {
    await using it = await pair()
    const here = viewerOf(await it.here())
    it.say('earlier ')
    const there = viewerOf(await it.there())
    it.say('live')
    for (const viewer of [here, there]) await expect.poll(() => seen(viewer)).toBe('earlier live')
    there.write(Buffer.from('input'))
    await expect.poll(() => String(it.port.heard())).toBe('input')
    expect(it.port.lent()).toBe(0)
  })

  it('is joined once, and shows later readers of the same process the earlier output', async () => {
    await using it = await pair()
    viewerOf(await it.here())
    it.say('earlier ')
    const [first, live] = await Promise.all([it.there(), it.there(false)])
    const viewers = [viewerOf(first), viewerOf(live)]
    it.say('live')
    for (const viewer of viewers) await expect.poll(() => seen(viewer)).toMatch(/live$/)
    expect(viewers.map(seen)).toEqual(['earlier live', 'live'])
    expect(seen(viewerOf(await it.there()))).toBe('earlier live')
  })

  it('stays open when the sessions of the process that has it open leave', async () => {
    await using it = await pair()
    const here = await it.here()
    viewerOf(here)
    const leg = await it.there()
    const there = viewerOf(leg)
    here[Symbol.dispose]()
    it.say('still here')
    await expect.poll(() => seen(there)).toBe('still here')
    leg[Symbol.dispose]()
    expect(await it.port.leg.closed).toBeUndefined()
  })

  it.each([
    ['without an error', undefined, undefined],
    ['with an error', new Error('ECONNRESET'), new Error('ECONNRESET')],
    ['with a fault', new LegFault('wrong_instance', 'another guest'), new LegFault('wrong_instance', 'another guest')],
  ])('ends there as it does here: %s', async (_, cause, expected) => {
    await using it = await pair()
    viewerOf(await it.here())
    const there = viewerOf(await it.there())
    it.say('last words')
    await expect.poll(() => seen(there)).toBe('last words')
    it.port.end(cause)
    expect(await there.closed).toEqual(expected)
  })

  it('shows a reader that stalls its last output before it ends', async () => {
    await using it = await pair()
    viewerOf(await it.here())
    const leg = await it.there()
    it.say('last words')
    it.port.end(undefined)
    const there = viewerOf(leg)
    await expect.poll(() => seen(there)).toBe('last words')
    expect(await there.closed).toBeUndefined()
  })

  it('shows its last output to a reader that begins after the other process has sent the end', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'ports')
    const frames = [frameHeader('earlier', 0), frameHeader('output', 10), 'last words', frameHeader('end', 2), '{}']
    const server = createServer((socket) => socket.end(Buffer.concat(frames.map((frame) => Buffer.from(frame)))))
    server.listen(path)
    await once(server, 'listening')
    const joined = await joinAtPeer({ path, key: new Secret('k') }, 'a', never)
    server.close()
    const viewer = viewerOf(joined!.hypervisor)
    expect(await viewer.closed).toBeUndefined()
    expect(seen(viewer)).toBe('last words')
  })

  it('refuses there as it does here', async () => {
    await using it = await pair()
    const refused = new Refused('console_timeout', 'no connection within 5 ms')
    const dial = Promise.withResolvers<SecuredLeg>()
    const here = it.holder.join({ portId: 'a', replay: true, open: () => dial.promise, signal: never })
    const there = it.there()
    await it.asked
    dial.reject(refused)
    await expect(here).rejects.toEqual(refused)
    await expect(there).rejects.toEqual(refused)
  })

  it('is not found there once it is closed', async () => {
    await using it = await pair()
    expect(await joinAtPeer(it.address, 'a', never)).toBeUndefined()
  })

  it('opens for no connection without the key', async () => {
    await using it = await pair()
    viewerOf(await it.here())
    const wrong: PeerAddress = { ...it.address, key: new Secret('0'.repeat(64)) }
    await expect(joinAtPeer(wrong, 'a', never)).rejects.toMatchObject({ refusal: 'console_unreachable' })
    const socket = connect({ path: it.address.path })
    socket.write('nonsense\n')
    await once(socket.resume(), 'close')
    expect(socket.bytesRead).toBe(0)
  })
})

describe('the frames between two processes', () => {
  it('are parsed the same in any pieces, with any pauses', () => {
    const frame = fc.record({
      type: fc.constantFrom<FrameType>('earlier', 'earlierMarked', 'output', 'end'),
      body: fc.uint8Array({ maxLength: 40 }),
    })
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.nat()), fc.array(fc.boolean()), (frames, cuts, pauses) => {
        const stream = Buffer.concat(frames.flatMap(({ type, body }) => [frameHeader(type, body.length), body]))
        const parser = new FrameParser()
        const found = { earlier: '', earlierMarked: '', output: '', end: '' }
        let part = 0
        const onPart = (type: FrameType, bytes: Buffer) => {
          found[type] += bytes.toString('hex')
          part += 1
          return !pauses[part]
        }
        let rest: Buffer = Buffer.alloc(0)
        for (const piece of cut(stream, cuts)) rest = parser.push(Buffer.concat([rest, piece]), onPart)
        for (let left = -1; left !== rest.length; ) {
          left = rest.length
          rest = parser.push(rest, onPart)
        }
        const expected = { earlier: '', earlierMarked: '', output: '', end: '' }
        for (const { type, body } of frames) expected[type] += Buffer.from(body).toString('hex')
        expect(found).toEqual(expected)
      }),
    )
  })

  it.each([
    ['an unknown type', Buffer.of(9, 0, 0, 0, 0)],
    ['a length above the maximum', Buffer.of(1, 0xff, 0, 0, 0)],
  ])('are refused with %s', (_, bytes) => {
    expect(() => new FrameParser().push(bytes, () => true)).toThrow('a frame has')
  })
})
