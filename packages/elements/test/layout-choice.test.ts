import { loadLayout, planTyping } from '@oriel/console'
import { describe, expect, it } from 'vitest'
import { guessLayout, layoutOptions, untypableText } from '../src/layout-choice.ts'

const qwerty = new Map([
  ['KeyQ', 'q'],
  ['KeyY', 'y'],
  ['Semicolon', ';'],
  ['BracketLeft', '['],
])
const qwertz = new Map([...qwerty, ['KeyY', 'z'], ['Semicolon', 'ö'], ['BracketLeft', 'ü']])
const azerty = new Map([...qwerty, ['KeyQ', 'a'], ['Semicolon', 'm'], ['BracketLeft', '^']])

describe('the guess of a keyboard layout', () => {
  it.each([
    [['en-US'], 'us'],
    [['en-GB', 'en'], 'gb'],
    [['de-DE', 'en'], 'de'],
    [['de'], 'de'],
    [['de-CH'], 'ch'],
    [['fr-CA'], 'ca'],
    [['nl-BE'], 'be'],
    [['pt-BR'], 'br'],
    [['es-ES'], 'es'],
    [['es-MX'], 'latam'],
    [['sv'], 'se'],
    [['ja'], 'jp'],
    [['zh-CN', 'ru'], 'ru'],
    [['zh-CN'], 'us'],
    [[], 'us'],
  ])('takes the first of the languages %j that has a layout: %s', (languages, layout) => {
    expect(guessLayout(languages)).toBe(layout)
  })

  it.each([
    ['de', qwerty, 'us'],
    ['en-GB', qwerty, 'gb'],
    ['en-US', qwertz, 'de'],
    ['hu', qwertz, 'hu'],
    ['en-US', azerty, 'fr'],
    ['fr-BE', azerty, 'be'],
  ])('follows the keyboard in front of the user over the language %s', (language, keyboard, layout) => {
    expect(guessLayout([language], keyboard)).toBe(layout)
  })

  it('is always a layout that exists', async () => {
    for (const { name } of layoutOptions()) expect((await loadLayout(name)).name).toBe(name)
  })
})

describe('the sentence about characters that a layout lacks', () => {
  const textOf = (text: string, layout: string) => planTyping(text, { layout }).then(() => undefined, untypableText)

  it('names them, and layouts that have all of them', async () => {
    expect(await textOf('für 5 €', 'us')).toMatch(
      /^Nothing was typed: English \(US\) has no ü €\. These layouts have them: /,
    )
  })

  it('names a control character by its code point', async () => {
    expect(await textOf('a\u0001', 'de')).toBe('Nothing was typed: German has no U+0001.')
  })

  it('is absent for another error', () => {
    expect(untypableText(new Error('lost'))).toBeUndefined()
  })
})
