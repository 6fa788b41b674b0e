import { array as arrayOf, assert, constantFrom, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { layoutNames, loadLayout, planText } from '../../src/index.ts'
import { chordsOf } from '../../src/keyboard/chords.ts'
import { play } from './played-keyboard.ts'

describe.each(layoutNames)('the layout %s', async (name) => {
  const layout = await loadLayout(name)
  const characters = [...chordsOf(layout).keys()]

  it('has the name that loads it', () => {
    expect(layout.name).toBe(name)
  })

  it('types each of its characters', () => {
    for (const character of characters) expect(play(planText(character, { layout }), layout).text).toBe(character)
  })

  it('types any text of its characters, and leaves no key down', () => {
    assert(
      property(arrayOf(constantFrom(...characters, '\n', '\t')), (text) => {
        expect(play(planText(text.join(''), { layout }), layout)).toEqual({
          text: text.join('').normalize('NFC'),
          down: [],
        })
      }),
    )
  })
})

const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i))
const withoutLatin = ['gr', 'il', 'ru', 'ua']

it.each(layoutNames.filter((name) => !withoutLatin.includes(name)))(
  'the layout %s types all of ASCII',
  async (name) => {
    const chords = chordsOf(await loadLayout(name))
    expect(ascii.filter((character) => !chords.has(character))).toEqual([])
  },
)

it.each([
  ['us', '<', { scancode: 0x33, modifiers: 1 }],
  ['de', '~', { scancode: 0x1b, modifiers: 2 }],
  ['fr', '^', { scancode: 0x0a, modifiers: 2 }],
  ['gb', '|', { scancode: 0x56, modifiers: 1 }],
  ['loadkeys-de', '^', { scancode: 0x29, modifiers: 0 }],
  ['pl', 'ą', { scancode: 0x1e, modifiers: 2 }],
])('the layout %s types %s with the key that most guests agree on', async (name, character, key) => {
  expect(chordsOf(await loadLayout(name)).get(character)).toEqual([expect.objectContaining(key)])
})

it('de types a circumflex with the dead key and a space, and ê with the dead key and e', async () => {
  const chords = chordsOf(await loadLayout('de'))
  const dead = { scancode: 0x29, modifiers: 0, keysym: 0xfe52 }
  expect(chords.get('^')).toEqual([dead, { scancode: 0x39, modifiers: 0, keysym: 0x20 }])
  expect(chords.get('ê')).toEqual([dead, { scancode: 0x12, modifiers: 0, keysym: 0x65 }])
})

it('uses keysyms that are older than Unicode, as QEMU does in its keymaps', async () => {
  expect(chordsOf(await loadLayout('ru')).get('ф')![0]!.keysym).toBe(0x6c6)
  expect(chordsOf(await loadLayout('de')).get('€')![0]!.keysym).toBe(0x20ac)
  expect(chordsOf(await loadLayout('de')).get('ẞ')![0]!.keysym).toBe(0x0100_1e9e)
})

it('rejects a layout that does not exist, with the nearest one', async () => {
  await expect(loadLayout('dee')).rejects.toThrow('Unknown keyboard layout "dee". Did you mean "de"? See layoutNames.')
  await expect(loadLayout('jp106')).rejects.toThrow('Did you mean "loadkeys-jp106"?')
  await expect(loadLayout('constructor')).rejects.toThrow(TypeError)
})
