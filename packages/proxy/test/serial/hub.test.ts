import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type HypervisorSocket, LegFault, type SecuredLeg } from '../../src/hypervisor/leg.ts'
import { type ReplaySettings, SerialHub } from '../../src/serial/hub.ts'
import { GAP } from '../../src/serial/upstream.ts'
import { scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const NOTHING = Buffer.alloc(0)
const SETTINGS: ReplaySettings = { maxBytes: 1024, keepMs: 1000 }
const never = new AbortController().signal

type Port = ReturnType<typeof scriptedLeg>

/** A hub whose ports the test plays. */
function playedHub(settings: Partial<ReplaySettings> = {}) {
  const hub = new SerialHub({ ...SETTINGS, ...settings })
  const dialled: Port[] = []
  const open = async (): Promise<SecuredLeg> => {
    const port = scriptedLeg()
    dialled.push(port)
    const { giveBack } = port.leg
    port.leg.giveBack = (bytes) => {
      giveBack(bytes)
      // As the next read does.
      bytes.fill('!')
    }
    return { hypervisor: port.leg, rest: NOTHING }
  }
  const join = (portId = 'a', replay = true) => hub.join({ portId, replay, open, signal: never })
  const say = (text: string) => dialled.at(-1)!.say(Buffer.from(text))
  return { hub, dialled, join, view: async (portId?: string) => viewerOf(await join(portId)), say }
}

/** A dial that the test finishes. */
function heldDial() {
  const port = scriptedLeg()
  const dial = Promise.withResolvers<SecuredLeg>()
  let signal: AbortSignal | undefined
  const open = vi.fn((dialling: AbortSignal) => {
    signal = dialling
    return dial.promise
  })
  const connected = () => dial.resolve({ hypervisor: port.leg, rest: NOTHING })
  return { port, open, connected, failed: dial.reject, signal: () => signal! }
}

/** A reader that takes what the test lets it: after `take` it wants more, after `stall` it does not. */
function slowReader(leg: HypervisorSocket) {
  let wants = true
  const held: Buffer[] = []
  const pieces: Buffer[] = []
  return {
    text: () => String(Buffer.concat(pieces)),
    take: () =>
      leg.take((bytes) => {
        pieces.push(Buffer.from(bytes))
        held.push(bytes)
        return wants
      }),
    stall: () => {
      wants = false
    },
    goOn: () => {
      wants = true
      for (const bytes of held.splice(0)) leg.giveBack(bytes)
      leg.resume()
    },
    giveBack: () => {
      for (const bytes of held.splice(0)) leg.giveBack(bytes)
    },
  }
}

const MARKER = /\r\n\[oriel: (\d+) bytes of output were left out\]\r\n/

/** Where `received` ends in `output`, read from `from` on, with the gaps that it names. Throws if it has another gap, or a double. */
function endOf(received: string, output: string, from: number): number {
  const [, bytes] = MARKER.exec(received) ?? []
  const [before, after] = bytes === undefined ? [received, undefined] : split(received)
  expect(before).toBe(output.slice(from, from + before.length))
  const at = from + before.length
  return after === undefined ? at : endOf(after, output, at + Number(bytes))
}

function split(received: string): [string, string] {
  const [marker] = MARKER.exec(received)!
  const at = received.indexOf(marker)
  return [received.slice(0, at), received.slice(at + marker.length)]
}

/** How long the others wait for a reader that stops taking output. */
const GRACE_MS = 50

describe('the readers of a serial port', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  it('receive the same output in any pieces, from any moment on, without a gap or a double', async () => {
    const acts = fc.array(
      fc.oneof(
        fc.record({ says: fc.integer({ min: 1, max: 400 }) }),
        fc.record({ joins: fc.boolean() }),
        fc.record({ waitsMs: fc.constantFrom(1, GRACE_MS) }),
        fc.record({ reader: fc.nat(), does: fc.constantFrom('take', 'stall', 'goOn', 'giveBack') }),
      ),
      { maxLength: 60 },
    )
    await fc.assert(
      fc.asyncProperty(acts, async (script) => {
        const it = playedHub({ maxBytes: 100_000 })
        const output = Array.from({ length: 6000 }, (_, line) => `line ${line}\r\n`).join('')
        let said = 0
        const readers = [{ from: 0, reader: slowReader(await it.join()) }]
        for (const act of script) {
          if ('says' in act && !it.dialled[0]!.isPaused()) {
            it.say(output.slice(said, said + act.says))
            said += act.says
          }
          if ('joins' in act) {
            readers.push({ from: act.joins ? 0 : said, reader: slowReader(await it.join('a', act.joins)) })
          }
          if ('waitsMs' in act) vi.advanceTimersByTime(act.waitsMs)
          if ('does' in act) readers[act.reader % readers.length]!.reader[act.does as 'take']()
        }
        for (const { from, reader } of readers) {
          reader.take()
          reader.goOn()
          expect(reader.text()).toBe(output.slice(from, said))
        }
        expect(it.dialled).toHaveLength(1)
        expect(it.dialled[0]!.lent()).toBe(0)
      }),
    )
  })

  it('that fall behind the kept output continue at a whole line, after a line with the bytes that were left out', async () => {
    const acts = fc.array(
      fc.oneof(
        fc.record({ says: fc.integer({ min: 1, max: 6000 }) }),
        fc.record({ does: fc.constantFrom('stall', 'goOn') }),
        fc.record({ waitsMs: fc.constant(GRACE_MS) }),
      ),
      { maxLength: 60 },
    )
    await fc.assert(
      fc.asyncProperty(acts, async (script) => {
        const it = playedHub()
        const output = Array.from({ length: 40_000 }, (_, line) => `line ${line}\r\n`).join('')
        let said = 0
        const fast = await it.view()
        const slow = slowReader(await it.join())
        slow.take()
        for (const act of script) {
          if ('does' in act) slow[act.does as 'stall']()
          else if ('waitsMs' in act) vi.advanceTimersByTime(act.waitsMs)
          else if (!it.dialled[0]!.isPaused()) {
            it.say(output.slice(said, said + act.says))
            said += act.says
          }
        }
        slow.goOn()
        expect(endOf(slow.text(), output, 0)).toBe(said)
        for (const [, , after] of slow.text().matchAll(new RegExp(`${MARKER.source}(\\w{0,4})`, 'g'))) {
          expect('line').toContain(after)
        }
        expect(String(fast.seen())).toBe(output.slice(0, said))
      }),
    )
  })

  it('go on without one that stalls', async () => {
    const it = playedHub()
    const [stalled, fast] = [slowReader(await it.join()), await it.view()]
    stalled.stall()
    stalled.take()
    it.say('piece 0 ')
    vi.advanceTimersByTime(GRACE_MS)
    for (let i = 1; i < 100; i++) {
      expect(it.dialled[0]!.isPaused()).toBe(false)
      it.say(`piece ${i} `)
    }
    expect(String(fast.seen())).toMatch(/^piece 0 .*piece 99 $/)
  })

  it('wait a moment for one that stops taking output, which then misses nothing', async () => {
    const it = playedHub({ maxBytes: 0 })
    const [slower] = [slowReader(await it.join()), await it.view()]
    slower.take()
    const output = Array.from({ length: 10 }, (_, i) => `${i}`.repeat(5000))
    for (const piece of output) {
      slower.stall()
      it.say(piece)
      expect(it.dialled[0]!.isPaused()).toBe(true)
      vi.advanceTimersByTime(GRACE_MS - 1)
      slower.goOn()
      expect(it.dialled[0]!.isPaused()).toBe(false)
    }
    expect(slower.text()).toBe(output.join(''))
  })

  it('wait again only for one that has caught up without a loss', async () => {
    const it = playedHub({ maxBytes: 0 })
    const [slow] = [slowReader(await it.join()), await it.view()]
    const stops = () => {
      slow.stall()
      it.say('x')
      return it.dialled[0]!.isPaused()
    }
    slow.take()
    expect(stops()).toBe(true)
    vi.advanceTimersByTime(GRACE_MS)
    it.say('y'.repeat(10_000))
    slow.goOn()
    expect(stops()).toBe(false)
    slow.goOn()
    expect(stops()).toBe(true)
  })

  it('stop the upstream only while none of them takes output, and miss nothing then', async () => {
    const it = playedHub({ maxBytes: 0 })
    const [one, two] = [slowReader(await it.join()), slowReader(await it.join())]
    for (const reader of [one, two]) reader.take()
    for (const reader of [one, two]) reader.stall()
    it.say('for both')
    expect(it.dialled[0]!.isPaused()).toBe(true)
    two.goOn()
    vi.advanceTimersByTime(GRACE_MS)
    expect(it.dialled[0]!.isPaused()).toBe(false)
    it.say(', and more')
    one.goOn()
    expect([one.text(), two.text()]).toEqual(['for both, and more', 'for both, and more'])
  })

  it('stop the upstream once the last one that took output has left', async () => {
    const it = playedHub()
    const [stalled, leaving] = [slowReader(await it.join()), await it.join()]
    viewerOf(leaving)
    stalled.stall()
    stalled.take()
    it.say('x')
    leaving[Symbol.dispose]()
    expect(it.dialled[0]!.isPaused()).toBe(true)
    stalled.goOn()
    it.say('y')
    expect(stalled.text()).toBe('xy')
  })

  it('share each buffer, which is given back once all of them have', async () => {
    const it = playedHub()
    const legs = [await it.join(), await it.join(), await it.join()]
    const taken: Buffer[] = []
    for (const leg of legs) leg.take((bytes) => taken.push(bytes) > 0)
    const bytes = Buffer.from('shared')
    it.dialled[0]!.say(bytes)
    expect(taken).toEqual([bytes, bytes, bytes])
    expect(taken.every((each) => each === taken[0])).toBe(true)
    legs[0]![Symbol.dispose]()
    for (const [index, leg] of legs.entries()) {
      expect(it.dialled[0]!.lent()).toBe(bytes.length)
      expect(leg.lentBytes).toBe(taken[index]!.buffer.byteLength)
      leg.giveBack(taken[index]!)
      expect(leg.lentBytes).toBe(0)
    }
    expect(it.dialled[0]!.lent()).toBe(0)
  })

  it('give a buffer as large as the ring back at the next one, or after a moment', async () => {
    const it = playedHub({ maxBytes: 4096 })
    const port = () => it.dialled[0]!
    const viewer = viewerOf(await it.join())
    const [first, second] = ['1', '2'].map((digit) => digit.repeat(5000))
    it.say(first!)
    expect(port().lent()).toBe(5000)
    it.say(second!)
    expect(port().lent()).toBe(5000)
    vi.advanceTimersByTime(10)
    expect(port().lent()).toBe(0)
    expect(String(viewer.seen())).toBe(`${first}${second}`)
    expect(String(viewerOf(await it.join()).seen())).toBe('2'.repeat(4096))
  })

  it('write to one upstream, in the order of their input, and hear when it takes more', async () => {
    const it = playedHub()
    const drains: number[] = []
    const legs = [await it.join(), await it.join()]
    for (const [index, leg] of legs.entries()) leg.onDrain(() => drains.push(index))
    legs[0]!.write(Buffer.from('a'))
    legs[1]!.write(Buffer.from('b'))
    legs[0]!.write(Buffer.from('c'))
    expect(String(it.dialled[0]!.heard())).toBe('abc')
    it.dialled[0]!.drain()
    expect(drains).toEqual([0, 1])
  })
})

describe('the upstream of a serial port', () => {
  it('is dialled once for sessions that arrive at the same moment', async () => {
    const hub = new SerialHub(SETTINGS)
    const dial = heldDial()
    const joining = { portId: 'a', replay: true, open: dial.open, signal: never }
    const joined = [hub.join(joining), hub.join(joining), hub.join(joining)]
    dial.connected()
    const seen = (await Promise.all(joined)).map(viewerOf)
    dial.port.say(Buffer.from('hello'))
    expect(seen.map((viewer) => String(viewer.seen()))).toEqual(['hello', 'hello', 'hello'])
    expect(dial.open).toHaveBeenCalledOnce()
  })

  it('is dialled to the end if the first session leaves while a second one waits', async () => {
    const hub = new SerialHub(SETTINGS)
    const dial = heldDial()
    const leaving = new AbortController()
    const first = hub.join({ portId: 'a', replay: true, open: dial.open, signal: leaving.signal })
    const second = hub.join({ portId: 'a', replay: true, open: dial.open, signal: never })
    leaving.abort(new Error('left'))
    await expect(first).rejects.toThrow('left')
    expect(dial.signal().aborted).toBe(false)
    dial.connected()
    const viewer = viewerOf(await second)
    dial.port.say(Buffer.from('hello'))
    expect(String(viewer.seen())).toBe('hello')
  })

  it('is not dialled any further once all sessions have left, and is dropped if it connects all the same', async () => {
    const hub = new SerialHub(SETTINGS)
    const dial = heldDial()
    const leaving = new AbortController()
    const first = hub.join({ portId: 'a', replay: true, open: dial.open, signal: leaving.signal })
    leaving.abort(new Error('left'))
    await expect(first).rejects.toThrow('left')
    expect(dial.signal().aborted).toBe(true)
    dial.connected()
    expect(await dial.port.leg.closed).toBeUndefined()
    expect(hub.size).toBe(0)
  })

  it('fails for all sessions that wait for it, and is dialled again for the next one', async () => {
    const hub = new SerialHub(SETTINGS)
    const [failing, working] = [heldDial(), heldDial()]
    const joining = { portId: 'a', replay: true, signal: never }
    const joined = [hub.join({ ...joining, open: failing.open }), hub.join({ ...joining, open: failing.open })]
    failing.failed(new Error('unreachable'))
    for (const waiting of joined) await expect(waiting).rejects.toThrow('unreachable')
    expect(hub.size).toBe(0)
    working.connected()
    await hub.join({ ...joining, open: working.open })
    expect(working.open).toHaveBeenCalledOnce()
  })

  it('stays while a session remains, and closes with the last one', async () => {
    const it = playedHub()
    const [first, second] = [await it.join(), await it.join()]
    const viewer = viewerOf(second)
    first[Symbol.dispose]()
    it.say('still here')
    expect(String(viewer.seen())).toBe('still here')
    second[Symbol.dispose]()
    expect(await it.dialled[0]!.leg.closed).toBeUndefined()
    await it.join()
    expect(it.dialled).toHaveLength(2)
  })

  it.each([
    ['undefined', undefined],
    ['an error', new Error('ECONNRESET')],
    ['a fault', new LegFault('wrong_instance', 'another guest')],
  ])('ends every session as it ends itself: with %s', async (_, cause) => {
    const it = playedHub()
    const viewers = [await it.view(), await it.view()]
    it.dialled[0]!.end(cause)
    for (const viewer of viewers) expect(await viewer.closed).toBe(cause)
    await it.join()
    expect(it.dialled).toHaveLength(2)
  })

  it('ends a session that is behind only after the last output', async () => {
    const it = playedHub()
    const [fast, slow] = [await it.view(), await it.join()]
    let isClosed = false
    slow.closed.then(() => {
      isClosed = true
    })
    it.say('last words')
    it.dialled[0]!.end(undefined)
    await fast.closed
    await new Promise((settled) => setImmediate(settled))
    expect(isClosed).toBe(false)
    const viewer = viewerOf(slow)
    expect(String(viewer.seen())).toBe('last words')
    expect(await slow.closed).toBeUndefined()
  })
})

describe('the replay of a serial port', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const replayed = async (hub: ReturnType<typeof playedHub>, portId?: string) => {
    const leg = await hub.join(portId)
    const text = String(viewerOf(leg).seen())
    leg[Symbol.dispose]()
    return text
  }

  it('contains the output of one port only', async () => {
    const it = playedHub()
    await it.view('a')
    it.say('of a')
    expect(await replayed(it, 'b')).toBe('')
    expect(await replayed(it, 'a')).toBe('of a')
  })

  it('contains no output of a port with replay_bytes = 0', async () => {
    const it = playedHub({ maxBytes: 0 })
    await it.view()
    it.say('secret')
    expect(await replayed(it)).toBe('')
  })

  it('is dropped only after its time since the last session', async () => {
    const it = playedHub()
    const legs = [await it.join(), await it.join()]
    for (const leg of legs) viewerOf(leg)
    it.say('x')
    legs[0]![Symbol.dispose]()
    vi.advanceTimersByTime(5000)
    expect(it.hub.size).toBe(1)
    legs[1]![Symbol.dispose]()
    vi.advanceTimersByTime(999)
    expect(await replayed(it)).toBe(`x${GAP}`)
    vi.advanceTimersByTime(999)
    expect(it.hub.size).toBe(1)
    vi.advanceTimersByTime(1)
    expect(it.hub.size).toBe(0)
    expect(await replayed(it)).toBe('')
  })

  it('marks once where the port was closed, because output since then is lost', async () => {
    const it = playedHub()
    expect([await replayed(it), await replayed(it)]).toEqual(['', ''])
    const view = await it.join()
    viewerOf(view)
    it.say('one\r\n')
    view[Symbol.dispose]()
    expect([await replayed(it), await replayed(it)]).toEqual([`one\r\n${GAP}`, `one\r\n${GAP}`])
    const later = await it.join()
    viewerOf(later)
    expect(later.silent).toBe(true)
    it.say('two\r\n')
    later[Symbol.dispose]()
    expect(await replayed(it)).toBe(`one\r\n${GAP}two\r\n${GAP}`)
  })

  it('contains at most the configured bytes of output in pieces of any size', async () => {
    const it = playedHub({ maxBytes: 64 })
    await it.view()
    for (let line = 0; line < 10_000; line++) for (const byte of `line ${line}\r\n`) it.say(byte)
    expect(await replayed(it)).toBe([9995, 9996, 9997, 9998, 9999].map((line) => `line ${line}\r\n`).join(''))
  })

  it('of the oldest port without a session is dropped for a new port', async () => {
    const it = playedHub({ maxPorts: 2 })
    const idle = await it.join('idle')
    viewerOf(idle)
    it.say('x')
    await it.view('busy')
    it.say('x')
    idle[Symbol.dispose]()
    await it.view('new')
    it.say('new')
    const beyond = await it.view('beyond')
    it.say('relayed all the same')
    expect(String(beyond.seen())).toBe('relayed all the same')
    expect(await replayed(it, 'new')).toBe('new')
    expect(await replayed(it, 'busy')).toBe('x')
    expect(await replayed(it, 'beyond')).toBe('')
  })
})
