import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { learnNames } from '../../src/authority/instance-names.ts'
import { Refused } from '../../src/index.ts'
import { guestName, nameObjection } from '../../src/rfb/identity.ts'
import { guardIdentity, watchDesktopName } from '../../src/rfb/identity-guard.ts'
import { MAX_NAME_BYTES, NameTooLong, ServerInitReader } from '../../src/rfb/server-init.ts'
import { cut, scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const NONE = Buffer.alloc(0)
const names = { names: ['instance-0000002a', 'web-1'] }

/** A ServerInit with this desktop name. */
function serverInit(name: string | Uint8Array, claimed?: number): Buffer {
  const bytes = Buffer.from(name as string)
  const header = Buffer.alloc(24, 3)
  header.writeUInt32BE(claimed ?? bytes.length, 20)
  return Buffer.concat([header, bytes])
}

describe('ServerInit', () => {
  it('CVE-2023-30575 length mis-count: reads a name in any pieces to its end and no further', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: MAX_NAME_BYTES, size: 'max' }),
        fc.array(fc.nat(5000)),
        fc.uint8Array(),
        (name, cuts, after) => {
          const reader = new ServerInitReader()
          const all = Buffer.concat([serverInit(name), after])
          const found = cut(all, cuts).map((piece) => reader.push(piece))
          expect(found.find((text) => text !== undefined)).toBe(Buffer.from(name).toString())
        },
      ),
      { numRuns: 100 },
    )
  })

  it('CVE-2023-43826 hostile server: refuses a name by its announced length', () => {
    for (const claimed of [MAX_NAME_BYTES + 1, 0x7fffffff, 0xffffffff]) {
      expect(() => new ServerInitReader().push(serverInit(NONE, claimed))).toThrow(NameTooLong)
    }
    expect(new ServerInitReader().push(serverInit(NONE, MAX_NAME_BYTES))).toBeUndefined()
    expect(new ServerInitReader().push(serverInit(''))).toBe('')
  })
})

describe('the guest’s name', () => {
  it.each([
    ['QEMU (web-1)', 'web-1'],
    ['QEMU (a) (b)', 'a) (b'],
    ['QEMU ()', ''],
    ['QEMU', undefined],
    ['qemu (web-1)', undefined],
    ['x QEMU (web-1)', undefined],
    ['QEMU (web-1) ', undefined],
  ])('of the desktop %j is %j', (desktop, guest) => {
    expect(guestName(desktop)).toBe(guest)
  })

  it('must be equal to one of the instance’s names', () => {
    expect(nameObjection('QEMU (web-1)', names)).toBeUndefined()
    for (const other of ['web-10', 'web', 'WEB-1', 'web-1\u0000', '']) {
      expect(nameObjection(`QEMU (${other})`, names), other).toContain(`the guest is ${JSON.stringify(other)}`)
    }
    expect(nameObjection('web-1', names)).toContain('the desktop is called "web-1"')
    expect(nameObjection('QEMU (x)', { names: ['a'], missing: 'why' })).toBe(
      'the guest is "x"; the instance is "a"; why',
    )
  })
})

describe('an enforced identity', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())
  const guarded = (early: Buffer = NONE) => {
    const leg = scriptedLeg()
    return { ...leg, ...viewerOf(guardIdentity(leg.leg, early, { names, timeoutMs: 1000 })) }
  }
  const GOOD = serverInit('QEMU (web-1)')
  const BAD = serverInit('QEMU (web-2)')

  it.each([1, 7, 1000])(
    'relays ServerInit and all later bytes once the name matches, in pieces of %i bytes',
    (size) => {
      const { say, seen } = guarded()
      const all = Buffer.concat([GOOD, Buffer.from('pixels')])
      for (let at = 0; at < all.length; at += size) {
        say(all.subarray(at, at + size))
        if (at + size < GOOD.length) expect(seen()).toHaveLength(0)
      }
      say(Buffer.from(' and more'))
      expect(seen()).toEqual(Buffer.concat([all, Buffer.from(' and more')]))
    },
  )

  it('relays bytes that arrived before the first take', () => {
    const { seen, say } = guarded(GOOD.subarray(0, 10))
    say(GOOD.subarray(10))
    expect(seen()).toEqual(GOOD)
    expect(guarded(Buffer.concat([GOOD, GOOD])).seen()).toHaveLength(2 * GOOD.length)
  })

  it('ends as wrong_instance before relaying a byte of another guest', async () => {
    for (const bad of [BAD, serverInit('Xvnc'), serverInit('', 5000)]) {
      const { say, seen, closed, heard, write } = guarded()
      write(Buffer.from('\u0001keys'))
      for (const byte of Buffer.concat([bad, Buffer.from('pixels')])) say(Buffer.of(byte))
      expect(await closed).toMatchObject({ reason: 'wrong_instance' })
      expect(seen()).toHaveLength(0)
      expect(heard().toString()).toBe('\u0001')
    }
  })

  it('relays only ClientInit until the name is verified, and keeps later input in order', () => {
    const { say, write, heard, drains } = guarded()
    expect(write(NONE)).toBe(true)
    expect(write(Buffer.of(1))).toBe(true)
    expect(write(Buffer.from('one '))).toBe(false)
    expect(write(Buffer.from('two '))).toBe(false)
    expect(heard().toString()).toBe('\u0001')
    say(GOOD)
    expect(drains()).toBe(1)
    expect(write(Buffer.from('three'))).toBe(true)
    expect(heard().toString()).toBe('\u0001one two three')
  })

  it('returns only buffers of the leg to the leg', () => {
    const { say, lent } = guarded()
    for (const piece of [GOOD.subarray(0, 30), GOOD.subarray(30), Buffer.from('more')]) say(piece)
    expect(lent()).toBe(0)
  })

  it('ends as console_lost when ServerInit is late', async () => {
    const { write, say, closed, seen } = guarded()
    write(Buffer.of(1))
    say(GOOD.subarray(0, 30))
    await vi.advanceTimersByTimeAsync(1000)
    expect(await closed).toMatchObject({ reason: 'console_lost', message: 'no ServerInit within 1000 ms' })
    expect(seen()).toHaveLength(0)
  })

  it('CVE-2023-3354 disconnect in handshake: ends as the leg does after any byte', async () => {
    for (let length = 0; length < GOOD.length; length += 1) {
      const { say, end, closed, seen } = guarded()
      say(GOOD.subarray(0, length))
      end(new Error('reset'))
      expect(await closed).toMatchObject({ message: 'reset' })
      expect(seen()).toHaveLength(0)
      expect(vi.getTimerCount()).toBe(0)
    }
  })
})

describe('a watched identity', () => {
  it('relays every byte at once and reports the name', () => {
    const told: (string | NameTooLong)[] = []
    const leg = scriptedLeg()
    const all = Buffer.concat([serverInit('QEMU (web-1)'), Buffer.from('pixels')])
    const viewer = viewerOf(watchDesktopName(leg.leg, all.subarray(0, 5), (name) => told.push(name)))
    for (const byte of all.subarray(5)) leg.say(Buffer.of(byte))
    expect(viewer.seen()).toEqual(all.subarray(5))
    expect(told).toEqual(['QEMU (web-1)'])
  })

  it('reports a name that is too long once', () => {
    const told: (string | NameTooLong)[] = []
    const leg = scriptedLeg()
    const viewer = viewerOf(watchDesktopName(leg.leg, NONE, (name) => told.push(name)))
    for (let i = 0; i < 3; i += 1) leg.say(serverInit('', 0xffffffff))
    expect(told).toEqual([expect.any(NameTooLong)])
    expect(viewer.seen()).toHaveLength(72)
  })
})

describe('looking up an instance’s names', () => {
  const admission = { instance: 'uuid', host: 'h', port: 1 }
  const signal = new AbortController().signal

  it('uses the names in the admission without asking the authority', async () => {
    expect(await learnNames({}, admission, signal)).toEqual({ known: { names: ['uuid'] } })
    const named = { ...admission, instanceName: 'web-1' }
    expect(await learnNames({}, named, signal)).toEqual({ known: { names: ['web-1', 'uuid'] } })
  })

  it('returns a refusal for the console that needs the names', async () => {
    const refused = new Refused('console_moved', 'gone')
    expect(await learnNames({ names: () => Promise.reject(refused) }, admission, signal)).toEqual({ refused })
  })
})
