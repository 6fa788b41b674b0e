import { array, assert, asyncProperty, constantFrom, integer, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  GuestStalled,
  type KeyStroke,
  loadLayout,
  type NumLockLight,
  type PacedKeyboard,
  paced,
  planText,
} from '../../src/index.ts'
import { chordsOf } from '../../src/keyboard/chords.ts'
import { CHANGE_MS, ENTER_MS } from '../../src/keyboard/pace.ts'
import { WINDOW_CODES, windowsOf } from '../../src/keyboard/windows.ts'
import { play } from './played-keyboard.ts'

const us = await loadLayout('us')
const de = await loadLayout('de')
const NUM_LOCK = 0x45
const codes = (strokes: readonly KeyStroke[]) =>
  strokes.reduce((sum, { scancode }) => sum + (scancode & 0x80 ? 2 : 1), 0)
const texts = array(constantFrom(...chordsOf(de).keys(), '\n')).map((characters) => characters.join(''))

describe('windows of strokes', () => {
  it('fit beside the reserved codes, begin and end without a key down, and type the same', () => {
    assert(
      property(texts, (text) => {
        const strokes = planText(text, { layout: de })
        const windows = windowsOf(strokes, 2)
        for (const window of windows) {
          expect(codes(window)).toBeLessThanOrEqual(WINDOW_CODES - 2)
          expect(play(window, de).down).toEqual([])
        }
        expect(play(windows.flat(), de)).toEqual(play(strokes, de))
      }),
    )
  })

  it('keep a dead key and the key after it together', () => {
    const strokes = planText('ââââââ', { layout: de })
    for (const window of windowsOf(strokes, 2)) expect(window.length % 4).toBe(0)
  })
})

/** Codes that QEMU's keyboard holds. */
const QUEUE = 16

/**
 * A virtual keyboard that drops what its queue cannot hold, and a guest that takes from it every `takesMs` milliseconds of a
 * clock that only waiting moves.
 */
function slowGuest(takesMs: number, { hasLights = true, stallsAt = (_now: number): boolean => false } = {}) {
  const queue: KeyStroke[] = []
  const taken: KeyStroke[] = []
  let changes = 0
  let now = 0
  const isOn = () => changes % 2 === 1
  const take = () => {
    const stroke = queue.shift()
    if (!stroke) return
    if (stroke.scancode !== NUM_LOCK) taken.push(stroke)
    else if (stroke.down) changes += 1
  }
  const pass = (ms: number, until = () => false) => {
    for (const end = now + ms; now < end && !until(); now += 1) if (now % takesMs === 0 && !stallsAt(now)) take()
  }
  const keyboard: PacedKeyboard = {
    send(strokes) {
      for (const stroke of strokes) if (codes([...queue, stroke]) <= QUEUE) queue.push(stroke)
    },
    pause: async (ms) => pass(ms),
    numLock: {
      get isOn() {
        return hasLights && isOn()
      },
      get changes() {
        return hasLights ? changes : 0
      },
      async hasChanged(times, timeoutMs) {
        const check = () => hasLights && changes >= times
        pass(timeoutMs, check)
        return check()
      },
    },
  }
  return {
    keyboard,
    /** What the guest has read, once it has had the time to read the rest. */
    typed: () => {
      pass(10_000)
      return play(taken, us).text
    },
    isNumLockOn: isOn,
    get now() {
      return now
    },
  }
}

describe('typing to a guest with lights', () => {
  it('loses nothing however slow the guest is, and leaves Num Lock as it was', async () => {
    await assert(
      asyncProperty(
        string({ unit: constantFrom('a', 'B', ' ', '\n', '#'), maxLength: 80 }),
        integer({ min: 1, max: 300 }),
        async (text, takesMs) => {
          const guest = slowGuest(takesMs)
          await paced(planText(text), guest.keyboard)
          expect(guest.typed()).toBe(text)
          expect(guest.isNumLockOn()).toBe(false)
        },
      ),
      { numRuns: 50 },
    )
  })

  it('loses nothing to a guest that stalls for seconds', async () => {
    const guest = slowGuest(1, { stallsAt: (now) => now % 9_000 > 300 })
    const text = 'The quick brown Fox jumps over the lazy Dog.'
    await paced(planText(text), guest.keyboard)
    expect(guest.typed()).toBe(text)
  })

  it('fails if the guest stops taking keys, rather than lose some', async () => {
    const guest = slowGuest(1, { stallsAt: (now) => now > 40 })
    const typing = paced(planText('The quick brown Fox'), guest.keyboard)
    await expect(typing).rejects.toThrow(
      new GuestStalled('The guest has taken no key for 30000 ms. The text is incomplete.'),
    )
  })

  it('returns if the guest stops taking keys after the last one, as one that shuts down', async () => {
    const guest = slowGuest(1, { stallsAt: (now) => now > 25 })
    await paced(planText('reboot\n'), guest.keyboard)
    expect(guest.now).toBeLessThan(11_000)
  })

  it('sends what fits into the queue without Num Lock', async () => {
    const sent: KeyStroke[] = []
    const hasChanged = () => Promise.reject(new Error('Num Lock was pressed'))
    const numLock = { isOn: false, changes: 0, hasChanged }
    const strokes = planText('ls\n')
    await paced(strokes, { send: (more) => void sent.push(...more), pause: async () => {}, numLock })
    expect(sent).toEqual(strokes)
  })

  it('puts Num Lock back when it is stopped, and leaves no key down', async () => {
    const guest = slowGuest(1)
    const stop = new AbortController()
    const onProgress = (sent: number) => void (sent === 3 && stop.abort(new Error('enough')))
    await expect(paced(planText('X'.repeat(100)), guest.keyboard, { signal: stop.signal, onProgress })).rejects.toThrow(
      'enough',
    )
    expect(guest.typed()).toMatch(/^X{6,15}$/)
    expect(guest.isNumLockOn()).toBe(false)
  })
})

it.each([2, 3])('puts Num Lock back when waiting for light %i is interrupted', async (interrupted) => {
  const guest = slowGuest(1)
  const { numLock } = guest.keyboard
  let waits = 0
  const hasChanged: NumLockLight['hasChanged'] = async (times, timeoutMs) => {
    waits += 1
    if (waits >= interrupted) throw new Error('stop')
    return numLock!.hasChanged(times, timeoutMs)
  }
  const light = { isOn: false, changes: 0, hasChanged }
  await expect(paced(planText('X'.repeat(100)), { ...guest.keyboard, numLock: light })).rejects.toThrow('stop')
  expect(guest.typed()).toMatch(/^X{4,15}$/)
  expect(guest.isNumLockOn()).toBe(false)
})

describe('typing by time', () => {
  it('is what remains if the guest sets no lights: Num Lock is pressed twice, nothing is lost', async () => {
    const guest = slowGuest(5, { hasLights: false })
    const text = 'a line\nand another, which is longer than a window'
    await paced(planText(text), guest.keyboard)
    expect(guest.typed()).toBe(text)
    expect(guest.isNumLockOn()).toBe(false)
  })

  it('is what remains for a server that reports no lights, with a pause for each change of a key and after Enter', async () => {
    const { keyboard, ...guest } = slowGuest(5)
    const pauses: number[] = []
    const pause = (ms: number) => {
      pauses.push(ms)
      return keyboard.pause(ms)
    }
    const strokes = planText('abcd\nefgh')
    await paced(strokes, { send: keyboard.send, pause })
    expect(pauses.reduce((sum, ms) => sum + ms)).toBe(strokes.length * CHANGE_MS + ENTER_MS)
    expect(guest.typed()).toBe('abcd\nefgh')
  })
})
