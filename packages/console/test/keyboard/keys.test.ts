import { expect, it } from 'vitest'
import { codeOf, type KeyStroke, keyNamed, keyNames, loadLayout, planKeys } from '../../src/index.ts'

const written = (strokes: readonly KeyStroke[]) =>
  strokes.map(({ down, scancode }) => (down ? '+' : '-') + scancode.toString(16).padStart(2, '0')).join(' ')

it.each([
  ['Control+Alt+Delete', '+1d +38 +d3 -d3 -38 -1d'],
  ['F12', '+58 -58'],
  ['Escape', '+01 -01'],
  ['ArrowUp', '+c8 -c8'],
  ['a', '+1e -1e'],
  ['A', '+2a +1e -1e -2a'],
  ['Shift+A', '+2a +1e -1e -2a'],
  ['Control+C', '+1d +2e -2e -1d'],
  ['Control+Shift+C', '+1d +2a +2e -2e -2a -1d'],
  ['Control++', '+1d +2a +0d -0d -2a -1d'],
  ['+', '+2a +0d -0d -2a'],
  ['Alt+F1', '+38 +3b -3b -38'],
  ['KeyZ', '+2c -2c'],
  ['Numpad0', '+52 -52'],
  ['Ctrl+Alt+Del', '+1d +38 +d3 -d3 -38 -1d'],
])('presses %s', (keys, strokes) => {
  expect(written(planKeys(keys))).toBe(strokes)
})

it('presses several keys one after the other', () => {
  expect(written(planKeys(['ArrowDown', 'Enter']))).toBe('+d0 -d0 +1c -1c')
})

it('looks characters up in the layout, and codes on the keyboard', async () => {
  const layout = await loadLayout('fr')
  expect(written(planKeys(['a', 'KeyA', '@'], layout))).toBe('+10 -10 +1e -1e +b8 +0b -0b -b8')
})

it('sends the keysyms of the keys', () => {
  expect(planKeys('Shift+Tab').map(({ keysym }) => keysym)).toEqual([0xffe1, 0xff09, 0xff09, 0xffe1])
})

it.each([
  ['Ecsape', 'Unknown key "Ecsape". Did you mean "Escape"?'],
  ['Control+Alt+Delet', 'Unknown key "Delet". Did you mean "Delete"?'],
  ['arrowup', 'Did you mean "ArrowUp"?'],
  ['é', 'The keyboard layout us has no key for "é".'],
  ['', 'Unknown key "". Names are those'],
  ['Foo', 'Unknown key "Foo". Names are those'],
])('rejects %s, and names a key that is near', (keys, message) => {
  expect(() => planKeys(keys)).toThrow(message)
})

it('gives each key one name of KeyboardEvent.code, a scancode, and a keysym', () => {
  const found = new Set(keyNames.map((name) => keyNamed(name)!))
  expect(found.size).toBe(new Set([...found].map(({ scancode }) => scancode)).size)
  for (const { scancode, keysym } of found) {
    expect(scancode).toBeGreaterThan(0)
    expect(scancode).toBeLessThan(0x100)
    expect(keysym).toBeGreaterThan(0)
  }
})

it('knows the code of each scancode that a layout uses', () => {
  expect([0x1e, 0x9d, 0x56, 0x73].map(codeOf)).toEqual(['KeyA', 'ControlRight', 'IntlBackslash', 'IntlRo'])
  expect(codeOf(0)).toBeUndefined()
})

it('knows no key by the name of a property of objects', () => {
  expect(keyNamed('constructor')).toBeUndefined()
})
