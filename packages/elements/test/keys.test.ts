import { describe, expect, it } from 'vitest'
import { chordSequence } from '../src/serial/chords.ts'
import { isSerialKey, keySequence, type SerialKey } from '../src/serial/keys.ts'

describe('keySequence', () => {
  it.each([
    ['up', '\x1b[A', '\x1bOA'],
    ['left', '\x1b[D', '\x1bOD'],
    ['home', '\x1b[H', '\x1bOH'],
    ['interrupt', '\x03', '\x03'],
    ['suspend', '\x1a', '\x1a'],
    ['quit', '\x1c', '\x1c'],
    ['escape', '\x1b', '\x1b'],
  ] as const)('of %s is %j, and %j in application mode', (key, normal, application) => {
    expect(keySequence(key, false)).toBe(normal)
    expect(keySequence(key, true)).toBe(application)
  })

  it('has no key of another name', () => {
    expect(['up', 'toString', '', 'quit'].filter(isSerialKey)).toEqual(['up', 'quit'])
  })
})

describe('chordSequence', () => {
  const normal = (key: SerialKey) => keySequence(key, false)

  it.each([
    ['Ctrl+C', '\x03'],
    ['Control+d', '\x04'],
    ['Ctrl+[', '\x1b'],
    ['Ctrl+@', '\0'],
    ['Alt+b', '\x1bb'],
    ['Alt+ArrowUp', '\x1b\x1b[A'],
    ['Enter', '\r'],
    ['Shift+Tab', '\x1b[Z'],
    ['F5', '\x1b[15~'],
    ['Delete', '\x1b[3~'],
    ['é', 'é'],
    ['+', '+'],
  ])('of %s is %j', (name, bytes) => {
    expect(chordSequence(name, normal)).toBe(bytes)
  })

  it('follows the mode of the cursor keys', () => {
    expect(chordSequence('ArrowUp', (key) => keySequence(key, true))).toBe('\x1bOA')
  })

  it.each(['', 'Ctrl+Alt+Delete', 'Ctrl+1', 'Hyper', 'toString', 'Alt+'])('refuses %j', (name) => {
    expect(() => chordSequence(name, normal)).toThrow(TypeError)
  })
})
