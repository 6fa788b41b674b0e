import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { KeyboardLights } from '../src/vnc/lights.ts'
import { capsLockTimeoutMs, type KeySink, maxBufferedBytes, Typist } from '../src/vnc/typist.ts'

describe('typing', () => {
  it('releases the keys of the user, and turns Caps Lock off and on again', async () => {
    const machine = createMachine({ capsLock: true })
    await machine.typist.type('a', {})
    expect(machine.events).toEqual(['release', ...tap('CapsLock'), ...tap('KeyA'), ...tap('CapsLock')])
  })

  it('types nothing if Caps Lock does not turn off', async () => {
    const machine = createMachine({ capsLock: true, answers: false })
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const typed = expect(machine.typist.type('a', {})).rejects.toThrow('Caps Lock is on in the machine')
    await vi.waitFor(() => expect(machine.events).toHaveLength(3))
    await vi.advanceTimersByTimeAsync(capsLockTimeoutMs)
    await typed
    expect(machine.events).toEqual(['release', ...tap('CapsLock')])
  })

  it('sends the keys of the layout', async () => {
    const machine = createMachine()
    expect(await machine.typist.type('Z', { layout: 'de' })).toEqual({ skipped: [] })
    expect(machine.events).toEqual(['release', 'ShiftLeft down', ...tap('KeyY'), 'ShiftLeft up'])
  })

  it('refuses a text before the first key, or leaves out what the layout lacks', async () => {
    const machine = createMachine()
    await expect(machine.typist.type('a\u00f6b', {})).rejects.toThrow('cannot type "ö"')
    expect(machine.events).toEqual([])
    // Decomposed, so that it is compared only after it is composed.
    expect(await machine.typist.type('ao\u0308b', { untypable: 'skip' })).toEqual({ skipped: ['ö'] })
    expect(machine.events).toEqual(['release', ...tap('KeyA'), ...tap('KeyB')])
  })

  it('presses keys after the text that is being typed', async () => {
    const machine = createMachine()
    const typed = machine.typist.type('a', {})
    await Promise.all([typed, machine.typist.press(['Ctrl+C'])])
    expect(machine.events.filter((event) => event.endsWith(' down'))).toEqual([
      'KeyA down',
      'ControlLeft down',
      'KeyC down',
    ])
    expect(machine.typist.isTyping).toBe(false)
  })

  it('stops between two windows of keys, with none down', async () => {
    const machine = createMachine({ lights: false })
    const stop = new AbortController()
    const onProgress = () => stop.abort(new Error('enough'))
    await expect(machine.typist.type('X'.repeat(40), { signal: stop.signal, onProgress })).rejects.toThrow('enough')
    expect(machine.down()).toEqual([])
  })

  it('waits while the connection is behind', async () => {
    const machine = createMachine({ lights: false })
    machine.buffer([maxBufferedBytes + 1, 0])
    await machine.typist.press(['a'])
    expect(machine.readings).toBe(2)
  })
})

const tap = (code: string) => [`${code} down`, `${code} up`]

/** A machine whose Caps Lock answers at once. */
function createMachine({ capsLock = false, answers = true, lights: hasLights = true } = {}) {
  const lights = new KeyboardLights()
  const events: string[] = []
  let [isOn, buffered, readings] = [capsLock, [0], 0]
  if (hasLights) lights.report({ numLock: false, capsLock })
  const sink: KeySink = {
    lights,
    get bufferedBytes() {
      readings += 1
      return buffered.length > 1 ? buffered.shift()! : buffered[0]!
    },
    sendKey(_keysym, code, down) {
      events.push(`${code} ${down ? 'down' : 'up'}`)
      if (code !== 'CapsLock' || !down || !answers) return
      isOn = !isOn
      lights.report({ numLock: false, capsLock: isOn })
    },
    releaseKeys: () => void events.push('release'),
  }
  return {
    typist: new Typist(sink),
    events,
    get readings() {
      return readings
    },
    buffer(next: number[]) {
      buffered = next
    },
    down() {
      const states = new Map(
        events.filter((event) => event !== 'release').map((event) => event.split(' ') as [string, string]),
      )
      return [...states].filter(([, state]) => state === 'down').map(([code]) => code)
    },
  }
}
