/** Serial ports whose machine moves to another host, at the hub. */
import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest'
import { LegFault } from '../../src/hypervisor/leg.ts'
import { type PortFinder, type PortPlace, type ReplaySettings, SerialHub } from '../../src/serial/hub.ts'
import type { Reader } from '../../src/serial/reader.ts'
import { GAP, type OpenedPort } from '../../src/serial/upstream.ts'
import { scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const MARK = '\r[moved to another host]\r\n'
const NOTHING = Buffer.alloc(0)
const SETTINGS: ReplaySettings = { maxBytes: 1024, keepMs: 1000 }
const never = new AbortController().signal
const settled = () => new Promise((resolve) => setImmediate(resolve))

/** A hub for a machine with a port at each of its places, which the test plays. */
function playedMachine(settings: Partial<ReplaySettings> = {}) {
  const hub = new SerialHub({ ...SETTINGS, ...settings })
  const dialled: { readonly portId: string; readonly port: ReturnType<typeof scriptedLeg> }[] = []
  const refusals = new Set<string>()
  const holds: { readonly portId: string; readonly session?: string; isReleased: boolean }[] = []
  const barred = new Set<string>()
  const reached: string[] = []
  let found = Promise.withResolvers<string | undefined>()
  const open = async (portId: string, session?: Promise<string>): Promise<OpenedPort> => {
    if (refusals.has(portId)) throw new Error('ECONNREFUSED')
    const port = scriptedLeg()
    dialled.push({ portId, port })
    using opening = new DisposableStack()
    opening.use(port.leg)
    const held = { portId, ...(session && { session: await session }), isReleased: false }
    opening.move()
    holds.push(held)
    const release = () => {
      held.isReleased = true
    }
    return { hypervisor: port.leg, rest: NOTHING, hold: { [Symbol.dispose]: release } }
  }
  const admits = vi.fn(async (sessionId: string) => !barred.has(sessionId))
  const placeAt = (portId: string): PortPlace => ({
    ...{ portId, open: (session) => open(portId, session), admits },
    reached: () => void reached.push(portId),
  })
  const find = vi.fn<PortFinder['find']>(async () => {
    const portId = await found.promise
    return portId === undefined || portId === 'off' ? portId : placeAt(portId)
  })
  let sessions = 0
  const join = ({ portId = 'old', replay = true, sessionId = `s${++sessions}` } = {}) =>
    hub.join({ portId, replay, open: () => open(portId), signal: never, sessionId, finder: { find } })
  const port = () => dialled.at(-1)!.port
  return {
    ...{ hub, dialled, holds, refusals, barred, reached, admits, find, join, port },
    view: async (options?: Parameters<typeof join>[0]) => viewerOf(await join(options)),
    say: (text: string) => port().say(Buffer.from(text)),
    /** Ends the connection to the host. */
    lose: async (cause?: Error) => {
      port().end(cause)
      await settled()
    },
    /** Gives the authority's answer: where the machine is, or `off`. */
    arrive: async (portId: string | undefined) => {
      found.resolve(portId)
      await settled()
      found = Promise.withResolvers()
    },
  }
}

const text = (viewer: ReturnType<typeof viewerOf>) => String(viewer.seen())

describe('the readers of a serial port whose machine moves', () => {
  it('receive the output of both hosts, with a line in between, without a gap or a double', async () => {
    const it = playedMachine()
    const viewers = [await it.view(), await it.view()]
    for (const byte of 'one\r\n') it.say(byte)
    await it.lose()
    await it.arrive('new')
    for (const byte of 'two\r\n') it.say(byte)
    expect(viewers.map(text)).toEqual([`one\r\n${MARK}two\r\n`, `one\r\n${MARK}two\r\n`])
    expect(it.dialled.map(({ portId }) => portId)).toEqual(['old', 'new'])
    expect([it.find.mock.calls, it.reached]).toEqual([[['s1']], ['new']])
    expect(it.dialled.map(({ port }) => port.lent())).toEqual([0, 0])
  })

  it('see the line after the line that the move has cut in two', async () => {
    const it = playedMachine()
    const viewer = await it.view()
    it.say('cut in ')
    await it.lose()
    await it.arrive('new')
    for (const byte of 'two\r\nnext') it.say(byte)
    expect(text(viewer)).toBe(`cut in two\r\n${MARK}next`)
    expect(text(await it.view({ portId: 'new' }))).toBe(`cut in two\r\n${MARK}next`)
  })

  it('receive the rest of the old output and all of the new one if they stalled during the move', async () => {
    const it = playedMachine()
    const [viewer, stalled] = [await it.view(), await it.join()]
    const held: Buffer[] = []
    let wants = false
    stalled.take((bytes) => {
      held.push(bytes)
      return wants
    })
    it.say('one\r\n')
    await it.lose()
    await it.arrive('new')
    wants = true
    stalled.resume()
    it.say('two\r\n')
    expect(String(Buffer.concat(held))).toBe(`one\r\n${MARK}two\r\n`)
    expect(text(viewer)).toBe(`one\r\n${MARK}two\r\n`)
    for (const bytes of held) stalled.giveBack(bytes)
    expect(it.dialled[1]!.port.lent()).toBe(0)
    expect(stalled.lentBytes).toBe(0)
  })

  it('end as switched off if the machine is, and one that is behind receives the rest of the output first', async () => {
    const it = playedMachine()
    const [viewer, stalled] = [await it.join(), await it.join()]
    const held: Buffer[] = []
    viewer.take(() => true)
    stalled.take((bytes) => {
      held.push(bytes)
      return false
    })
    it.say('one')
    it.say(' two')
    await it.lose()
    await it.arrive('off')
    expect(await viewer.closed).toMatchObject({ reason: 'switched_off' })
    stalled.resume()
    expect(await stalled.closed).toMatchObject({ reason: 'switched_off' })
    expect(String(Buffer.concat(held))).toBe('one two')
    expect(it.dialled.map(({ portId }) => portId)).toEqual(['old'])
  })

  it('go on with a machine that moves on and back', async () => {
    const it = playedMachine()
    const viewer = await it.view()
    for (const place of ['new', 'third', 'old']) {
      it.say('.\r\n')
      await it.lose()
      await it.arrive(place)
    }
    it.say('.')
    expect(text(viewer)).toBe(`.\r\n${MARK}`.repeat(3).concat('.'))
    expect(it.dialled.map(({ portId }) => portId)).toEqual(['old', 'new', 'third', 'old'])
    expect(it.hub.size).toBe(1)
  })

  it('join those who opened the port at the new host before the others were there', async () => {
    const it = playedMachine()
    const viewer = await it.view()
    it.say('one\r\n')
    const old = it.port()
    const early = await it.view({ portId: 'new' })
    it.say('two\r\n')
    old.end(undefined)
    await it.arrive('new')
    it.say('three\r\n')
    expect([text(viewer), text(early)]).toEqual([`one\r\n${MARK}two\r\nthree\r\n`, 'two\r\nthree\r\n'])
    expect(it.dialled).toHaveLength(2)
    viewer.write(Buffer.from('input'))
    expect(String(it.port().heard())).toBe('input')
  })

  it('hold the port at the new host for a session that may go on, and release it at the old host', async () => {
    const it = playedMachine()
    it.barred.add('s1')
    await it.view()
    const viewer = await it.join()
    await it.lose()
    await it.arrive('new')
    const [old, next] = [{ portId: 'old' }, { portId: 'new', session: 's2' }]
    expect(it.holds).toEqual([
      { ...old, isReleased: true },
      { ...next, isReleased: false },
    ])
    viewer[Symbol.dispose]()
    expect(it.holds.map(({ isReleased }) => isReleased)).toEqual([true, true])
  })

  it('give up their hold when they read along through another port of this process', async () => {
    const it = playedMachine()
    await it.view()
    const old = it.port()
    await it.view({ portId: 'new' })
    old.end(undefined)
    await settled()
    await it.arrive('new')
    expect(it.holds).toEqual([
      { portId: 'old', isReleased: true },
      { portId: 'new', isReleased: false },
    ])
  })

  it('are read along with by later ones at the new host, and by none at the old one', async () => {
    const it = playedMachine()
    await it.view()
    it.say('one\r\n')
    await it.lose()
    await it.arrive('new')
    expect(text(await it.view({ portId: 'new' }))).toBe(`one\r\n${MARK}`)
    expect(it.dialled).toHaveLength(2)
    expect(text(await it.view({ portId: 'old' }))).toBe('')
    expect(it.dialled).toHaveLength(3)
  })

  it('are joined during the pause by one that receives only what is printed from then on', async () => {
    const it = playedMachine()
    await it.view()
    it.say('one\r\n')
    await it.lose()
    const live = await it.view({ replay: false })
    await it.arrive('new')
    it.say('two')
    expect(text(live)).toBe(`${MARK}two`)
  })

  it('end as the connection did if the machine is where it was, or nowhere', async () => {
    for (const place of ['old', undefined]) {
      const it = playedMachine()
      const viewers = [await it.view(), await it.view()]
      const cause = new Error('ECONNRESET')
      await it.lose(cause)
      await it.arrive(place)
      for (const viewer of viewers) expect(await viewer.closed).toBe(cause)
      expect(it.dialled).toHaveLength(1)
    }
  })

  it('end at once after a fault of the console, which no move causes', async () => {
    const it = playedMachine()
    const viewer = await it.view()
    const fault = new LegFault('wrong_instance', 'another guest')
    await it.lose(fault)
    expect(await viewer.closed).toBe(fault)
    expect(it.find).not.toHaveBeenCalled()
  })

  it('end as moved if the new host refuses the connection', async () => {
    const it = playedMachine()
    it.refusals.add('new')
    const viewers = [await it.view(), await it.view()]
    await it.lose()
    await it.arrive('new')
    for (const viewer of viewers) expect(await viewer.closed).toMatchObject({ reason: 'moved' })
    expect(it.reached).toEqual([])
    await it.view({ portId: 'new' }).catch(() => {})
    expect(it.hub.size).toBe(0)
  })

  it('leave out the one that may not go on, of which no input reaches the new host and which sees no output of it', async () => {
    const it = playedMachine()
    const [viewer, revoked] = [await it.view({ sessionId: 'stays' }), await it.view({ sessionId: 'revoked' })]
    await it.lose()
    revoked.write(Buffer.from('rm -rf /\r'))
    viewer.write(Buffer.from('ls\r'))
    it.barred.add('revoked')
    await it.arrive('new')
    it.say('two')
    expect(await revoked.closed).toMatchObject({ reason: 'moved' })
    expect([text(viewer), text(revoked)]).toEqual([`${MARK}two`, ''])
    expect(String(it.port().heard())).toBe('ls\r')
  })

  it('are all asked for before a byte of the new host passes', async () => {
    const it = playedMachine()
    const verdict = Promise.withResolvers<boolean>()
    const [viewer, slow] = [await it.view(), await it.view({ sessionId: 'slow' })]
    it.admits.mockImplementation(async (id) => (id === 'slow' ? verdict.promise : true))
    await it.lose()
    await it.arrive('new')
    expect([it.port().isPaused(), text(viewer)]).toEqual([true, ''])
    verdict.resolve(false)
    await settled()
    it.say('two')
    expect([text(viewer), text(slow)]).toEqual([`${MARK}two`, ''])
  })

  it('close the port if none of them may go on', async () => {
    const it = playedMachine()
    const viewer = await it.view({ sessionId: 'revoked' })
    it.barred.add('revoked')
    await it.lose()
    await it.arrive('new')
    expect(await viewer.closed).toMatchObject({ reason: 'moved' })
    for (const { port } of it.dialled.slice(1)) expect(await port.leg.closed).toBeUndefined()
    expect(it.hub.size).toBe(0)
  })

  it('are not looked for any longer once they have left', async () => {
    const it = playedMachine()
    const leg = await it.join()
    viewerOf(leg)
    await it.lose()
    leg[Symbol.dispose]()
    await it.arrive('new')
    expect(it.dialled).toHaveLength(1)
    expect(it.hub.size).toBe(0)
  })
})

describe('a serial port that the proxy itself stays attached to', () => {
  async function standing() {
    const it = playedMachine()
    const own = await it.hub.join({
      ...{ portId: 'old', replay: false, signal: never },
      open: async () => {
        const port = scriptedLeg()
        it.dialled.push({ portId: 'old', port })
        return { hypervisor: port.leg, rest: NOTHING }
      },
    })
    return { it, own: viewerOf(own) }
  }

  it('follows its machine with its sessions, without a question for itself', async () => {
    const { it, own } = await standing()
    const viewer = await it.view()
    await it.lose()
    await it.arrive('new')
    it.say('two')
    expect([text(viewer), text(own)]).toEqual([`${MARK}two`, `${MARK}two`])
    expect(it.admits.mock.calls).toEqual([['s1']])
  })

  it('ends with its connection while it has no session', async () => {
    const { it, own } = await standing()
    await it.lose()
    expect(await own.closed).toBeUndefined()
    expect(it.find).not.toHaveBeenCalled()
  })
})

test('ends the sessions of a port with their connection once its output was forgotten, as its server has another owner', async () => {
  const it = playedMachine()
  const viewer = await it.view()
  it.hub.forget('old')
  await it.lose()
  await it.arrive('new')
  expect(await viewer.closed).toBeUndefined()
  expect([it.dialled.length, it.hub.size]).toEqual([1, 0])
})

describe('the input of a serial port whose machine moves', () => {
  it('is kept in its order, and sent before later input', async () => {
    const it = playedMachine()
    const viewers = [await it.view(), await it.view()]
    await it.lose()
    for (const [at, byte] of [...'echo'].entries()) viewers[at % 2]!.write(Buffer.from(byte))
    await it.arrive('new')
    viewers[0]!.write(Buffer.from(' hi'))
    expect(String(it.port().heard())).toBe('echo hi')
  })

  it('pauses its clients when there is much, and loses nothing of it', async () => {
    const it = playedMachine()
    const viewer = await it.view()
    await it.lose()
    const piece = Buffer.alloc(16 * 1024, 'x')
    expect([viewer.write(piece.subarray(1)), viewer.write(piece)]).toEqual([true, false])
    await it.arrive('new')
    expect([it.port().heard().length, viewer.drains()]).toEqual([2 * piece.length - 1, 1])
  })

  it('is a copy, since its memory may be used again', async () => {
    const it = playedMachine()
    const viewer = await it.view()
    await it.lose()
    const typed = Buffer.from('typed')
    viewer.write(typed)
    typed.fill('!')
    await it.arrive('new')
    expect(String(it.port().heard())).toBe('typed')
  })
})

describe('a machine that has moved according to the authority', () => {
  const notified = async (it: ReturnType<typeof playedMachine>, reader: Reader, place: string | undefined) => {
    expect(reader.machineMoved()).toBe(true)
    await it.arrive(place)
  }

  it('is left for its new host, although the connection to the old one is open', async () => {
    const it = playedMachine()
    const reader = await it.join()
    const viewer = viewerOf(reader)
    it.say('one\r\n')
    await notified(it, reader, 'new')
    expect(await it.dialled[0]!.port.leg.closed).toBeUndefined()
    it.say('two')
    expect(text(viewer)).toBe(`one\r\n${MARK}two`)
  })

  it('keeps the sessions that may go on if the port is there already', async () => {
    const it = playedMachine()
    const [stays, revoked] = [await it.join({ sessionId: 'stays' }), await it.join({ sessionId: 'revoked' })]
    it.barred.add('revoked')
    await notified(it, stays, 'old')
    await notified(it, revoked, 'old')
    expect(await revoked.closed).toMatchObject({ reason: 'moved' })
    const viewer = viewerOf(stays)
    it.say('one')
    expect([text(viewer), it.dialled.length]).toEqual(['one', 1])
  })

  it('ends the session if the authority cannot say where it is', async () => {
    const it = playedMachine()
    const reader = await it.join()
    await notified(it, reader, undefined)
    expect(await reader.closed).toMatchObject({ reason: 'moved' })
  })

  it('ends the session if the machine is switched off', async () => {
    const it = playedMachine()
    const reader = await it.join()
    await notified(it, reader, 'off')
    expect(await reader.closed).toMatchObject({ reason: 'switched_off' })
  })

  it('is not followed by a port that nobody can find', async () => {
    const it = playedMachine()
    const reader = await it.hub.join({
      ...{ portId: 'a', replay: true, signal: never, sessionId: 's' },
      open: async () => ({ hypervisor: scriptedLeg().leg, rest: NOTHING }),
    })
    expect(reader.machineMoved()).toBe(false)
  })
})

describe('the replay of a serial port whose machine moves', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  it('follows it, and is dropped after its time since the last session', async () => {
    const it = playedMachine()
    const leg = await it.join()
    viewerOf(leg)
    it.say('one\r\n')
    await it.lose()
    await it.arrive('new')
    leg[Symbol.dispose]()
    vi.advanceTimersByTime(999)
    const again = await it.join({ portId: 'new' })
    expect(text(viewerOf(again))).toBe(`one\r\n${MARK}${GAP}`)
    again[Symbol.dispose]()
    vi.advanceTimersByTime(1000)
    expect(it.hub.size).toBe(0)
  })
})
