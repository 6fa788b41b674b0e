import { expect, it } from 'vitest'
import { type KeyStroke, loadLayout, planText, planTyping, UntypableError } from '../../src/index.ts'
import { play } from './played-keyboard.ts'

/** `+2a` for a key that goes down, `-2a` for one that goes up. */
const written = (strokes: readonly KeyStroke[]) =>
  strokes.map(({ down, scancode }) => (down ? '+' : '-') + scancode.toString(16).padStart(2, '0')).join(' ')

it('presses and releases each key, with its scancode and its keysym', () => {
  expect(planText('a/')).toEqual([
    { down: true, scancode: 0x1e, keysym: 0x61 },
    { down: false, scancode: 0x1e, keysym: 0x61 },
    { down: true, scancode: 0x35, keysym: 0x2f },
    { down: false, scancode: 0x35, keysym: 0x2f },
  ])
})

it('holds a modifier over the characters that need it, and releases it at the end', async () => {
  expect(written(planText('aABb'))).toBe('+1e -1e +2a +1e -1e +30 -30 -2a +30 -30')
  expect(written(planText('@[Ω', { layout: await loadLayout('de') }))).toBe('+b8 +10 -10 +09 -09 +2a +10 -10 -b8 -2a')
})

it('releases one modifier before it presses another', async () => {
  expect(written(planText('"@', { layout: await loadLayout('de') }))).toBe('+2a +03 -03 -2a +b8 +10 -10 -b8')
})

it('types line ends as Enter, tabs, backspaces and escapes as their keys', () => {
  expect(written(planText('\n\r\n\r\t\b\u001b'))).toBe('+1c -1c +1c -1c +1c -1c +0f -0f +0e -0e +01 -01')
})

it('types no shifted Enter after a capital letter', () => {
  expect(written(planText('A\n'))).toBe('+2a +1e -1e -2a +1c -1c')
})

it('composes text before it types it', async () => {
  const layout = await loadLayout('de')
  expect(play(planText('u\u0308', { layout }), layout).text).toBe('ü')
})

it('names every character that the layout lacks, once, and types none', () => {
  const error = thrown(() => planText('naïve café – ï\u0007'))
  expect(error.characters.map(({ character, codePoint }) => [character, codePoint])).toEqual([
    ['ï', 'U+00EF'],
    ['é', 'U+00E9'],
    ['–', 'U+2013'],
    ['\u0007', 'U+0007'],
  ])
  expect(error.message).toBe(
    'The keyboard layout us cannot type "ï" (U+00EF); "é" (U+00E9); "–" (U+2013); U+0007. ' +
      'Use a layout that can, if the guest has it, or another text.',
  )
})

it('sends what the layout lacks by its keysym alone, if the caller wants that', () => {
  expect(planText('Aé', { missing: 'keysym' }).slice(-2)).toEqual([
    { down: true, scancode: 0, keysym: 0xe9 },
    { down: false, scancode: 0, keysym: 0xe9 },
  ])
  expect(planText('😀', { missing: 'keysym' })[0]!.keysym).toBe(0x0101_f600)
  expect(thrown(() => planText('a\u0000', { missing: 'keysym' })).characters).toHaveLength(1)
})

it('treats a character outside the basic plane as one', () => {
  expect(thrown(() => planText('😀')).characters).toEqual([{ character: '😀', codePoint: 'U+1F600', layouts: [] }])
})

it('names the layouts that have a missing character', async () => {
  await expect(planTyping('ы')).rejects.toThrow('cannot type "ы" (U+044B), which ru, ua can.')
  const error = await planTyping('ß', { layout: 'us' }).catch((reason: UntypableError) => reason)
  expect((error as UntypableError).characters[0]!.layouts).toEqual(expect.arrayContaining(['de', 'gb', 'us-intl']))
})

it('switches to the second layout for what the first lacks, and back', async () => {
  const strokes = await planTyping('ф f', { layout: 'ru', alternate: 'us' })
  expect(written(strokes)).toBe('+1e -1e +39 -39 +38 +2a -2a -38 +21 -21 +38 +2a -2a -38')
})

it('switches with the keys that the caller names, and holds no modifier meanwhile', async () => {
  const strokes = await planTyping('ФA', { layout: 'ru', alternate: 'us', toggle: 'CapsLock' })
  expect(written(strokes)).toBe('+2a +1e -1e -2a +3a -3a +2a +1e -1e -2a +3a -3a')
  await expect(planTyping('фa', { layout: 'ru', alternate: 'us', toggle: 'Caps' })).rejects.toThrow(
    'The key "Caps" cannot switch layouts.',
  )
})

function thrown(run: () => unknown): UntypableError {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(UntypableError)
    return error as UntypableError
  }
  throw new Error('It did not throw.')
}
