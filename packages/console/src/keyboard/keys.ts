/** Plans single keys and combinations by name. */
import { closest, distance } from 'fastest-levenshtein'
import { ALT_GR, type Chord, chordsOf, SHIFT } from './chords.ts'
import { keyNamed, keyNames, type NamedKey } from './key-names.ts'
import type { Layout } from './layout.ts'
import { layout as us } from './layouts/us.ts'
import type { KeyStroke } from './stroke.ts'
import { pressTogether } from './text.ts'

/** With these a letter means its key: `Control+C` is what people write for Control and the key C, without Shift. */
const commandKeys = new Set([
  'Control',
  'Ctrl',
  'Alt',
  'Meta',
  'Super',
  'Win',
  'ControlLeft',
  'ControlRight',
  'AltLeft',
])

/**
 * Returns the strokes of keys, one after the other. Each is a name of the DOM's (`KeyboardEvent.key` or `.code`: `F12`,
 * `ArrowUp`, `KeyA`), a character, or several joined by `+`: `Control+Alt+Delete`. They are pressed in this order and
 * released in the other. A character is looked up in the layout, US by default, with Shift and AltGr as it needs them.
 * @throws TypeError if there is no key of a name; the message has the nearest one, if one is near
 */
export function planKeys(keys: string | readonly string[], layout: Layout = us): KeyStroke[] {
  return [keys].flat().flatMap((combination) => pressTogether(keysOf(combination, layout)))
}

function keysOf(combination: string, layout: Layout): NamedKey[] {
  const names = split(combination)
  const isCommand = names.some((name) => commandKeys.has(name))
  const found = names.flatMap((name) => keyOf(isCommand && name.length === 1 ? name.toLowerCase() : name, layout))
  return found.filter(({ scancode }, i) => found.findIndex((other) => other.scancode === scancode) === i)
}

/** `Control++` is Control and the key that types a plus. */
function split(combination: string): string[] {
  if (combination === '+') return ['+']
  return combination.endsWith('++') ? [...combination.slice(0, -2).split('+'), '+'] : combination.split('+')
}

function keyOf(name: string, layout: Layout): NamedKey[] {
  const named = keyNamed(name)
  if (named) return [named]
  const chords = chordsOf(layout).get(name)
  if (chords?.length === 1) return withModifiers(chords[0]!)
  throw new TypeError(
    [...name].length === 1
      ? `The keyboard layout ${layout.name} has no key for "${name}".`
      : `Unknown key "${name}".${suggestion(name)} Names are those of KeyboardEvent.key and .code.`,
  )
}

function suggestion(name: string): string {
  const near = closest(name, keyNames as string[])
  return distance(name, near) <= name.length / 2 ? ` Did you mean "${near}"?` : ''
}

function withModifiers({ scancode, keysym, modifiers }: Chord): NamedKey[] {
  const held = [modifiers & SHIFT && 'ShiftLeft', modifiers & ALT_GR && 'AltGraph'].filter((name) => name !== 0)
  return [...held.map((name) => keyNamed(name)!), { scancode, keysym }]
}
