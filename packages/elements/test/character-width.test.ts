import { describe, expect, it } from 'vitest'
import { characterWidth, unicodeProvider } from '../src/serial/character-width.ts'

const widthOf = (text: string) =>
  [...text].reduce((sum, character) => sum + characterWidth(character.codePointAt(0)!), 0)

describe('characterWidth', () => {
  // The last emoji are of Unicode 12 to 15.
  it.each(['😀', '🚀', '🏽', '🥱', '🫠', '🫨', '🪿'])('of the emoji %s is two columns', (emoji) => {
    expect(widthOf(emoji)).toBe(2)
  })

  it.each(['日', '本', 'あ', 'ア', '한', '，', 'Ａ', '￥', '𠀋', '⌚'])('of %s is two columns', (character) => {
    expect(widthOf(character)).toBe(2)
  })

  it.each(['a', 'ß', 'é', 'Ж', '─', '█', '→', '☺', '✔', 'ｱ', '￩', '𝄞'])('of %s is one column', (character) => {
    expect(widthOf(character)).toBe(1)
  })

  it.each([0, 0x1b, 0x7f, 0x9b, 0x301, 0x20dd, 0x200b, 0x200d, 0xfe0f, 0x1160])('of U+%# is none', (codePoint) => {
    expect(characterWidth(codePoint)).toBe(0)
  })

  it('of a flag, which is two characters, is two columns', () => {
    expect(widthOf('🇩🇪')).toBe(2)
  })
})

describe('the provider for xterm.js', () => {
  it('joins a combining character to a wide one', () => {
    const wide = unicodeProvider.charProperties(0x65e5, 0)
    expect(wide).toBe(2 << 1)
    expect(unicodeProvider.charProperties(0x3099, wide)).toBe((2 << 1) | 1)
    expect(unicodeProvider.charProperties(0x3099, 0)).toBe(0)
  })
})
