import { readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { fence, keyEvent, setEncodings, updateRequest } from '@oriel/testkit/rfb-messages'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { InputPermission } from '../../src/hypervisor/input-permission.ts'
import { ContinuousUpdates } from '../../src/rfb/continuous-updates.ts'
import { guardIdentity } from '../../src/rfb/identity-guard.ts'
import { filterInput } from '../../src/rfb/input-filter.ts'
import { asRead, cut, scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'
import { rectangle, serverInit, u16, u32, update } from './server-stream.ts'

/** The encodings of noVNC 1.7 in a browser that decodes H.264. */
const NOVNC = [
  ...[1, 50, 7, -260, 16, 21, 5, 2, 6, 0, -26, -254, -223, -224, -258, -261, -308, -309, -312, -313, -307],
  ...[0xc0a1e5ce | 0, -316, 0x574d5664, -239],
]
const pixelFormat = Buffer.from('000000002018000100ff00ff00ff000810000000', 'hex')
/** A fence that the client requests. */
const requestedFence = Buffer.concat([Buffer.of(248, 0, 0, 0), u32(0x8000_0007), Buffer.of(2, 8, 9)])
const END = Buffer.of(150)
const FENCE_BYTES = 18
const init = serverInit('web-1')
const picture = update(rectangle(0, Buffer.alloc(20 * 17 * 4, 7)))
const enable = (width = 64, height = 48, flag = 1) =>
  Buffer.concat([Buffer.of(150, flag), u16(0), u16(0), u16(width), u16(height)])
const request = (width = 64, height = 48) => Buffer.concat([Buffer.of(3, 1), u16(0), u16(0), u16(width), u16(height)])

/** The fences of the proxy in what a client received, in order. */
function fencesIn(bytes: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = bytes.indexOf('oriel'); at >= 0; at = bytes.indexOf('oriel', at + 1))
    found.push(bytes.subarray(at - 9, at + 9))
  return found
}

/** A client's return of a fence. */
const returned = (fenced: Buffer) => Buffer.concat([fenced.subarray(0, 4), u32(0), fenced.subarray(8)])

/** What a client received without the proxy's fences. */
function withoutFences(bytes: Buffer): Buffer {
  const at = bytes.indexOf('oriel')
  if (at < 0) return bytes
  return Buffer.concat([bytes.subarray(0, at - 9), withoutFences(bytes.subarray(at + 9))])
}

function opened({ encodings = NOVNC, role = 'control' as const, stream = [init] as readonly Buffer[] } = {}) {
  const scripted = scriptedLeg()
  const updates = new ContinuousUpdates(scripted.leg, { maxPerSecond: 30 })
  const permission = new InputPermission(role)
  const filter = filterInput(scripted.leg, permission, updates)
  const viewer = viewerOf(filter)
  viewer.write(Buffer.of(1))
  for (const piece of stream) scripted.say(piece)
  viewer.write(pixelFormat)
  viewer.write(setEncodings(encodings))
  viewer.write(request())
  let heard = scripted.heard().length
  /** What the server received since the last call. */
  const news = () => {
    const all = scripted.heard()
    const fresh = all.subarray(heard)
    heard = all.length
    return fresh
  }
  return { ...scripted, ...viewer, updates, permission, filter, news }
}

/** A session whose client has enabled continuous updates, as noVNC does, and has returned the first fence. */
function enabled(options = {}) {
  const session = opened(options)
  session.say(picture)
  session.write(request())
  session.write(returned(fencesIn(session.seen()).at(-1)!))
  session.write(enable())
  session.news()
  return session
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('continuous updates', () => {
  it('are announced behind the first update, to a client that offers them', () => {
    const { say, seen, updates } = opened()
    say(picture)
    const own = seen().subarray(init.length + picture.length)
    expect(own.subarray(FENCE_BYTES)).toEqual(END)
    expect(own.subarray(0, 9)).toEqual(Buffer.from('f800000080000000' + '09', 'hex'))
    expect(updates.state).toBe('announced')
  })

  it('are requested by the proxy as each update ends, with a fence behind it, and not by the client', () => {
    const { say, seen, news, write } = enabled()
    for (let i = 0; i < 3; i += 1) {
      say(picture)
      write(returned(fencesIn(seen()).at(-1)!))
      vi.advanceTimersByTime(40)
      expect(news()).toEqual(request())
    }
    expect(withoutFences(seen())).toEqual(Buffer.concat([init, picture, END, picture, picture, picture]))
  })

  it.each([0, FENCE_BYTES - 1, FENCE_BYTES, FENCE_BYTES + 1, 100])(
    'have their fences behind a read that left %i bytes of its buffer unused',
    (spare) => {
      const { say, seen, lent } = enabled()
      const before = seen().length
      for (const tail of [Buffer.alloc(0), Buffer.of(2), picture.subarray(0, 1)])
        say(asRead(Buffer.concat([picture, tail]), spare))
      say(asRead(picture.subarray(1), spare))
      const fences = fencesIn(seen().subarray(before))
      expect(seen().subarray(before)).toEqual(
        Buffer.concat([
          picture,
          fences[0]!,
          picture,
          Buffer.of(2),
          fences[1]!,
          picture,
          fences[2]!,
          picture,
          fences[3]!,
        ]),
      )
      expect(lent()).toBe(0)
    },
  )

  it('go to the server byte for byte except for the messages of the two extensions', () => {
    const { write, news, say, seen } = enabled()
    say(picture)
    news()
    const echo = returned(fencesIn(seen()).at(-1)!)
    const messages = [keyEvent, echo, updateRequest, enable(), keyEvent]
    for (const byte of Buffer.concat(messages)) write(Buffer.of(byte))
    expect(news()).toEqual(Buffer.concat([keyEvent, updateRequest, keyEvent]))
  })

  it('keep a watcher from input as before', () => {
    const { say, news, write, seen } = enabled({ role: 'watch' })
    say(picture)
    write(Buffer.concat([keyEvent, returned(fencesIn(seen()).at(-1)!), updateRequest]))
    expect(news()).toEqual(Buffer.concat([request(), updateRequest]))
  })

  it.each([
    ['offers no fences', NOVNC.filter((n) => n !== -312)],
    ['offers no continuous updates', NOVNC.filter((n) => n !== -313)],
    ['offers an encoding that noVNC does not have', [...NOVNC, -240]],
    ['offers more encodings than are read', Array.from({ length: 300 }, (_, i) => NOVNC[i % NOVNC.length]!)],
  ])('are not announced to a client that %s, whose bytes all pass', (_, encodings) => {
    const { say, seen, updates, write, news } = opened({ encodings })
    say(picture)
    write(Buffer.concat([enable(), fence(3)]))
    expect(updates.state).toBe('off')
    expect(seen()).toEqual(Buffer.concat([init, picture]))
    expect(news()).toEqual(Buffer.concat([enable(), fence(3)]))
  })

  it.each([
    ['a fence', Buffer.concat([Buffer.of(248, 0, 0, 0), u32(0x8000_0000), Buffer.of(0)])],
    ['EndOfContinuousUpdates', END],
  ])('are left to a server that announces them itself by %s', (_, announcement) => {
    const { say, seen, updates, write, news } = opened()
    say(announcement)
    say(picture)
    write(Buffer.concat([enable(), fence(3)]))
    expect(updates.state).toBe('off')
    expect(seen()).toEqual(Buffer.concat([init, announcement, picture]))
    expect(news()).toEqual(Buffer.concat([enable(), fence(3)]))
  })

  it('go on without knowing where messages end after an encoding of unknown size', () => {
    const { say, seen, news, write, updates } = enabled()
    const before = seen().length
    const unknown = update(rectangle(99, Buffer.from('of any length')))
    say(unknown)
    expect(updates.state).toBe('blind')
    vi.advanceTimersByTime(40)
    expect(news()).toEqual(request())
    say(picture)
    say(picture)
    vi.advanceTimersByTime(40)
    expect(news()).toEqual(request())
    vi.advanceTimersByTime(1000)
    expect(news()).toEqual(Buffer.alloc(0))
    write(Buffer.concat([enable(100, 90), requestedFence]))
    say(picture)
    vi.advanceTimersByTime(40)
    expect(news()).toEqual(request(100, 90))
    expect(seen().subarray(before)).toEqual(Buffer.concat([unknown, picture, picture, picture]))
  })

  it('go on without knowing where messages end after another pixel format', () => {
    const { news, write, updates } = enabled()
    const small = Buffer.from('00000000080800010007000700030003060000' + '00', 'hex')
    write(small)
    expect(updates.state).toBe('blind')
    expect(news()).toEqual(small)
    vi.advanceTimersByTime(40)
    expect(news()).toEqual(request())
  })

  it('end for a client that does not offer them any more, which then requests for itself', () => {
    const { say, seen, news, write, updates } = enabled()
    const before = seen().length
    write(setEncodings([7, 0]))
    expect(updates.state).toBe('ended')
    expect(seen().subarray(before)).toEqual(END)
    expect(news()).toEqual(Buffer.concat([setEncodings([7, 0]), request()]))
    say(picture)
    write(Buffer.concat([enable(), keyEvent]))
    vi.advanceTimersByTime(1000)
    expect(seen().subarray(before)).toEqual(Buffer.concat([END, picture]))
    expect(news()).toEqual(keyEvent)
  })

  it('end behind the message that the server is sending', () => {
    const { say, seen, write } = enabled()
    const before = seen().length
    say(picture.subarray(0, 100))
    write(setEncodings([7, 0]))
    say(Buffer.concat([picture.subarray(100), Buffer.of(2)]))
    expect(withoutFences(seen().subarray(before))).toEqual(Buffer.concat([picture, Buffer.of(2), END]))
  })

  it('stop when the client disables them, and begin again when it enables them', () => {
    const { say, seen, news, write } = enabled()
    const before = seen().length
    write(enable(0, 0, 0))
    expect(seen().subarray(before)).toEqual(END)
    say(picture)
    vi.advanceTimersByTime(1000)
    expect(news()).toEqual(Buffer.alloc(0))
    write(enable(30, 20))
    expect(news()).toEqual(request(30, 20))
  })

  it('cover the area that the client names after a change of its size, at once', () => {
    const { news, write } = enabled()
    write(enable(800, 600))
    expect(news()).toEqual(request(800, 600))
    write(enable(800, 600))
    expect(news()).toEqual(Buffer.alloc(0))
  })

  it('are requested between two messages of the client', () => {
    const { say, news, write } = enabled()
    write(keyEvent.subarray(0, 3))
    say(picture)
    expect(news()).toEqual(keyEvent.subarray(0, 3))
    write(keyEvent.subarray(3, 5))
    write(Buffer.concat([keyEvent.subarray(5), keyEvent]))
    expect(news()).toEqual(Buffer.concat([keyEvent.subarray(3), request(), keyEvent]))
  })

  it('answer the fences that a client requests', () => {
    const { seen, write, news } = enabled()
    const before = seen().length
    write(requestedFence)
    expect(seen().subarray(before)).toEqual(Buffer.concat([Buffer.of(248, 0, 0, 0), u32(3), Buffer.of(2, 8, 9)]))
    expect(news()).toEqual(Buffer.alloc(0))
  })

  it('take no more memory for a client that requests fences and does not read', () => {
    const { filter, write } = enabled()
    let pieces = 0
    filter.take(() => {
      pieces += 1
      return true
    })
    for (let i = 0; i < 10_000; i += 1) write(requestedFence)
    expect(pieces).toBeLessThan(300)
  })

  it('send few fences for a flood of unrequested updates', () => {
    const { say, seen } = enabled()
    for (let i = 0; i < 2000; i += 1) say(Buffer.concat([update(), update(), update()]))
    expect(fencesIn(seen()).length).toBeLessThan(300)
  })

  it('end the session at a message of the client whose size is unknown', async () => {
    const { write, news, closed } = enabled()
    write(Buffer.concat([keyEvent, Buffer.of(77, 1, 2), keyEvent]))
    expect(news()).toEqual(keyEvent)
    expect(await closed).toMatchObject({ reason: 'protocol_error' })
  })

  it('do not begin after a message of the client whose size is unknown, and the session goes on', () => {
    const { say, write, news, seen, updates } = opened()
    write(Buffer.of(77, 1, 2))
    say(picture)
    write(enable())
    expect(updates.state).toBe('off')
    expect(seen()).toEqual(Buffer.concat([init, picture]))
    expect(news()).toEqual(Buffer.concat([Buffer.of(77, 1, 2), enable()]))
  })

  it('know the longer pointer events of a server that has announced them', () => {
    const { say, write, news } = enabled()
    say(update(rectangle(-316, Buffer.alloc(0))))
    news()
    const pointer = Buffer.of(5, 0x81, 0, 1, 0, 2, 1)
    write(Buffer.concat([pointer, enable(), pointer]))
    expect(news()).toEqual(Buffer.concat([pointer, pointer]))
  })

  it.each([
    ['without them', setEncodings(NOVNC.filter((n) => n !== -316))],
    ['that is too long to be read', setEncodings(Array.from({ length: 300 }, () => -316))],
  ])('do not know the longer pointer events after a list of encodings %s', async (_, list) => {
    const { say, write, news, closed } = enabled()
    say(update(rectangle(-316, Buffer.alloc(0))))
    write(list)
    news()
    write(Buffer.concat([keyEvent, Buffer.of(5, 0x81, 0, 1, 0, 2, 1), keyEvent]))
    expect(news()).toEqual(keyEvent)
    expect(await closed).toMatchObject({ reason: 'protocol_error' })
  })

  it('are requested while a watcher sends a long message that is dropped', () => {
    const { say, write, news } = enabled({ role: 'watch' })
    write(Buffer.concat([Buffer.of(6, 0, 0, 0), u32(1000), Buffer.alloc(10)]))
    say(picture)
    expect(news()).toEqual(request())
  })

  it('wait with few timers for a client that returns a fence an hour late', () => {
    const { say, write, seen, updates } = enabled()
    const empty = update(rectangle(1, Buffer.alloc(4), 1, 1))
    say(empty)
    vi.advanceTimersByTime(3_600_000)
    write(returned(fencesIn(seen()).at(-1)!))
    const timers = vi.spyOn(globalThis, 'setTimeout')
    for (let i = 0; i < 3; i += 1) say(empty)
    vi.advanceTimersByTime(1000)
    for (const [, ms] of timers.mock.calls) expect(ms).toBeLessThanOrEqual(10_000)
    expect(timers.mock.calls.length).toBeLessThan(10)
    expect(updates.state).toBe('requesting')
  })

  it('begin behind the identity guard, for a client that sends everything at once', async () => {
    const scripted = scriptedLeg()
    const options = { names: { names: ['web-1'] }, desktop: '{instance}', timeoutMs: 1000 }
    const guarded = guardIdentity(scripted.leg, Buffer.alloc(0), options)
    const updates = new ContinuousUpdates(guarded, { maxPerSecond: 30 })
    const { seen, write } = viewerOf(filterInput(guarded, new InputPermission('control'), updates))
    write(Buffer.of(1))
    scripted.say(init.subarray(0, 10))
    scripted.say(Buffer.concat([init.subarray(10), Buffer.of(2)]))
    write(Buffer.concat([pixelFormat, setEncodings(NOVNC), request()]))
    scripted.say(picture)
    expect(withoutFences(seen())).toEqual(Buffer.concat([init, Buffer.of(2), picture, END]))
    expect(scripted.heard()).toEqual(Buffer.concat([Buffer.of(1), pixelFormat, setEncodings(NOVNC), request()]))
    expect(scripted.lent()).toBe(0)
  })

  it('leave no timer behind when the leg has closed', async () => {
    const { say, end, updates } = enabled()
    say(update(rectangle(99, Buffer.alloc(0))))
    expect(vi.getTimerCount()).toBe(1)
    end(undefined)
    await Promise.resolve()
    await Promise.resolve()
    expect(vi.getTimerCount()).toBe(0)
    expect(updates.state).toBe('off')
  })
})

const streams = new URL('streams/', import.meta.url)
const recorded = readdirSync(streams)
  .filter((name) => name.endsWith('.gz'))
  .map((name) => [name.replace('.rfb.gz', ''), gunzipSync(readFileSync(new URL(name, streams)))] as const)
const cuts = fc.array(fc.nat(10_000_000), { maxLength: 40 })

/** The unused bytes of a read: often too few for a message of the proxy. */
const spares = fc.nat(40)

/** Plays a recorded server to noVNC's part of the dialogue, and returns what the client received. */
function play(stream: Buffer, at: readonly number[], spare: number) {
  const initBytes = 24 + stream.readUInt32BE(20)
  const [first, ...rest] = cut(stream.subarray(initBytes), at)
  const session = opened({ stream: [stream.subarray(0, initBytes)] })
  session.say(asRead(first!, spare))
  session.write(enable())
  for (const piece of rest) {
    session.say(asRead(piece, spare))
    const echo = fencesIn(session.seen()).at(-1)
    if (echo && session.updates.isAnnounced) session.write(returned(echo))
    vi.advanceTimersByTime(20)
  }
  return session
}

describe('the client of continuous updates', () => {
  it.each(recorded)('receives the recorded stream %s unchanged, in any pieces', (_, stream) => {
    fc.assert(
      fc.property(cuts, spares, (at, spare) => {
        const { seen, lent } = play(stream, at, spare)
        const received = withoutFences(seen())
        expect(received.length - stream.length).toBe(1)
        expect(withoutEnds(received, stream)).toEqual(stream)
        expect(lent()).toBe(0)
      }),
      { numRuns: 10 },
    )
  })

  it.each(recorded)('receives the recorded stream %s with any byte changed, and its session goes on', (_, stream) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 24, max: stream.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        cuts,
        spares,
        (place, by, at, spare) => {
          const changed = Buffer.from(stream)
          changed[place] = changed[place]! ^ by
          const { seen, lent } = play(changed, at, spare)
          const received = withoutFences(seen())
          expect(received.length - changed.length).toBeLessThanOrEqual(2)
          expect(withoutEnds(received, changed)).toEqual(changed)
          expect(lent()).toBe(0)
        },
      ),
      { numRuns: 20 },
    )
  })
})

function firstDifference(a: Buffer, b: Buffer): number {
  let at = 0
  while (at < b.length && a[at] === b[at]) at += 1
  return at
}

/** Removes each EndOfContinuousUpdates that `expected` does not have. */
function withoutEnds(received: Buffer, expected: Buffer): Buffer {
  if (received.length <= expected.length) return received
  const at = firstDifference(received, expected)
  expect(received[at]).toBe(150)
  return withoutEnds(Buffer.concat([received.subarray(0, at), received.subarray(at + 1)]), expected)
}
