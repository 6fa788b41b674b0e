import { describe, expect, it } from 'vitest'
import { isSerialKey, keySequence } from '../src/serial/keys.ts'

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
