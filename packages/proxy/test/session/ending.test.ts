import { closeReasons } from '@oriel/contract'
import { describe, expect, it } from 'vitest'
import { takenOverText } from '../../src/session/ending.ts'

describe('the sentence of a session that was taken over', () => {
  it('names the viewer who has a label', () => {
    expect(takenOverText('Bea')).toBe('Bea took this console over.')
    expect(takenOverText()).toBe(closeReasons.taken_over.text)
  })

  it('fits into a close frame, with a long label cut between characters', () => {
    const text = takenOverText('🖥'.repeat(64))
    expect(text).toMatch(/^🖥+… took this console over\.$/u)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(123)
    expect(takenOverText('a'.repeat(64))).toBe(`${'a'.repeat(64)} took this console over.`)
  })
})
