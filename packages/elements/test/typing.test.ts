import { describe, expect, it } from 'vitest'
import { keystrokes } from '../src/vnc/keystrokes.ts'
import { changePauseMs, linePauseMs, maxBufferedBytes, press, type } from '../src/vnc/typist.ts'

const SHIFT = 0xffe1

describe('keystrokes', () => {
  it('has the key on a US keyboard for every printable ASCII character', () => {
    for (let point = 0x20; point < 0x7f; point += 1) {
      const [stroke] = keystrokes(String.fromCodePoint(point))
      expect(stroke?.keysym).toBe(point)
      expect(stroke?.code, String.fromCodePoint(point)).toMatch(/^(Key[A-Z]|Digit\d|[A-Z][A-Za-z]+)$/)
    }
  })

  it.each([
    ['a', 'KeyA', false],
    ['Z', 'KeyZ', true],
    ['1', 'Digit1', false],
    ['!', 'Digit1', true],
    [')', 'Digit0', true],
    ['_', 'Minus', true],
    ['|', 'Backslash', true],
    ['"', 'Quote', true],
    ['?', 'Slash', true],
    ['~', 'Backquote', true],
    [' ', 'Space', false],
  ])('types %j on %s', (character, code, shift) => {
    expect(keystrokes(character)).toEqual([{ keysym: character.codePointAt(0), code, shift }])
  })

  it('converts each kind of line end to one Enter, and a tab to Tab', () => {
    expect(keystrokes('\r\n\n\r\t').map(({ code }) => code)).toEqual(['Enter', 'Enter', 'Enter', 'Tab'])
  })

  it('types other characters by their keysym alone', () => {
    expect(keystrokes('é€😀')).toEqual([
      { keysym: 0xe9, code: null, shift: false },
      { keysym: 0x0100_20ac, code: null, shift: false },
      { keysym: 0x0101_f600, code: null, shift: false },
    ])
  })

  it('composes decomposed characters', () => {
    expect(keystrokes('e\u0301')).toEqual([{ keysym: 0xe9, code: null, shift: false }])
  })

  it('drops control characters', () => {
    expect(keystrokes('\u0000\u001b\u007f\u009b')).toEqual([])
  })
})

describe('type', () => {
  it('presses Shift around a shifted key, and pauses for each change and longer after Enter', async () => {
    const { sink, events, pause } = recorder()
    await type(keystrokes('A\nb'), sink, pause)
    expect(events).toEqual([
      [SHIFT, 'ShiftLeft', true],
      [0x41, 'KeyA', true],
      [0x41, 'KeyA', false],
      [SHIFT, 'ShiftLeft', false],
      4 * changePauseMs,
      [0xff0d, 'Enter', true],
      [0xff0d, 'Enter', false],
      linePauseMs,
      [0x62, 'KeyB', true],
      [0x62, 'KeyB', false],
      2 * changePauseMs,
    ])
  })

  it('waits while the connection buffers too much', async () => {
    const { sink, events, pause } = recorder()
    sink.bufferedBytes = maxBufferedBytes + 1
    await type(keystrokes('a'), sink, async (ms) => {
      sink.bufferedBytes = 0
      await pause(ms)
    })
    expect(events[0]).toBe(changePauseMs)
  })

  it('reports its progress, and stops between two keys when it is aborted', async () => {
    const { sink, events, pause } = recorder()
    const stop = new AbortController()
    const seen: number[] = []
    const onProgress = (typed: number, total: number) => {
      seen.push(typed / total)
      if (typed === 2) stop.abort()
    }
    await expect(type(keystrokes('abcd'), sink, pause, { signal: stop.signal, onProgress })).rejects.toThrow('abort')
    expect(seen).toEqual([0.25, 0.5])
    expect(events.filter((event) => typeof event !== 'number')).toHaveLength(4)
  })

  it('releases every key that it presses', () => {
    const { sink, events } = recorder()
    for (const stroke of keystrokes('Hello, World? {x}')) press(stroke, sink)
    const down = new Set<number>()
    for (const event of events as [number, string, boolean][]) {
      if (event[2]) down.add(event[0])
      else down.delete(event[0])
    }
    expect(down.size).toBe(0)
  })
})

function recorder() {
  const events: (readonly [number, string | null, boolean] | number)[] = []
  return {
    events,
    sink: {
      bufferedBytes: 0,
      sendKey: (keysym: number, code: string | null, down: boolean) => void events.push([keysym, code, down]),
    },
    pause: async (ms: number) => void events.push(ms),
  }
}
