import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Replays } from '../../src/consoles/replay.ts'
import type { HypervisorSocket, TakeBytes } from '../../src/hypervisor/leg.ts'

/** A leg whose output the test sends. */
function leg() {
  const closed = Promise.withResolvers<Error | undefined>()
  let taker: TakeBytes | undefined
  const hypervisor = {
    take: (bytes: TakeBytes) => {
      taker = bytes
    },
    closed: closed.promise,
  } as unknown as HypervisorSocket
  return {
    hypervisor,
    say: (text: string) => taker?.(Buffer.from(text)),
    end: async () => {
      closed.resolve(undefined)
      await closed.promise
    },
  }
}

/** Opens a session of the port and collects its output. */
function open(replays: Replays, place: string) {
  const { hypervisor, say, end } = leg()
  const joined = replays.join(place, hypervisor)
  let taken = ''
  joined.hypervisor.take((bytes) => {
    taken += bytes
    return true
  })
  return { earlier: String(joined.earlier), say, end, taken: () => taken }
}

describe('the replay of serial ports', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('relays the output that it keeps', () => {
    const replays = new Replays({ maxBytes: 100, keepMs: 1000 })
    const first = open(replays, 'a')
    first.say('hello')
    expect(first.taken()).toBe('hello')
    expect(open(replays, 'a').earlier).toBe('hello')
  })

  it('contains the output of one port only', () => {
    const replays = new Replays({ maxBytes: 100, keepMs: 1000 })
    open(replays, 'a').say('of a')
    expect(open(replays, 'b').earlier).toBe('')
  })

  it('keeps output once for any number of sessions', async () => {
    const replays = new Replays({ maxBytes: 100, keepMs: 1000 })
    const [first, second] = [open(replays, 'a'), open(replays, 'a')]
    for (const session of [first, second]) session.say('once ')
    await first.end()
    second.say('more')
    expect(open(replays, 'a').earlier).toBe('once more')
  })

  it('drops the output only after its time since the last session', async () => {
    const replays = new Replays({ maxBytes: 100, keepMs: 1000 })
    const [first, second] = [open(replays, 'a'), open(replays, 'a')]
    first.say('x')
    await first.end()
    vi.advanceTimersByTime(5000)
    expect(replays.size).toBe(1)
    await second.end()
    vi.advanceTimersByTime(999)
    expect(replays.size).toBe(1)
    vi.advanceTimersByTime(1)
    expect(replays.size).toBe(0)
    expect(open(replays, 'a').earlier).toBe('')
  })

  it('keeps at most the configured bytes, in pieces of any size', () => {
    const replays = new Replays({ maxBytes: 64, keepMs: 1000 })
    const first = open(replays, 'a')
    for (let line = 0; line < 10_000; line++) for (const byte of `line ${line}\r\n`) first.say(byte)
    expect(open(replays, 'a').earlier).toBe([9995, 9996, 9997, 9998, 9999].map((line) => `line ${line}\r\n`).join(''))
  })

  it('drops a port without a session to keep a new one', async () => {
    const replays = new Replays({ maxBytes: 64, keepMs: 1000, maxPorts: 2 })
    const [idle, busy] = [open(replays, 'idle'), open(replays, 'busy')]
    for (const session of [idle, busy]) session.say('x')
    await idle.end()
    open(replays, 'new').say('new')
    expect(open(replays, 'new').earlier).toBe('new')
    const beyond = open(replays, 'beyond')
    beyond.say('relayed all the same')
    expect(beyond.taken()).toBe('relayed all the same')
    expect(open(replays, 'beyond').earlier).toBe('')
    expect(open(replays, 'busy').earlier).toBe('x')
    expect(replays.size).toBe(2)
  })
})
