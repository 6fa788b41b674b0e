/** The bytes of keys and chords by their names. Loaded when a program presses keys by name. */
import type { SerialKey } from './keys.ts'

/** Keys without a modifier, by their names in `KeyboardEvent.key`. */
const named: Readonly<Record<string, SerialKey>> = {
  ...{ Escape: 'escape', Esc: 'escape', Tab: 'tab', Enter: 'enter', Return: 'enter', Home: 'home', End: 'end' },
  ...{ ArrowUp: 'up', ArrowDown: 'down', ArrowLeft: 'left', ArrowRight: 'right' },
}
const sequences: Readonly<Record<string, string>> = {
  ...{ Backspace: '\x7f', Space: ' ', 'Shift+Tab': '\x1b[Z' },
  ...{ Insert: '\x1b[2~', Delete: '\x1b[3~', PageUp: '\x1b[5~', PageDown: '\x1b[6~' },
  ...{ F1: '\x1bOP', F2: '\x1bOQ', F3: '\x1bOR', F4: '\x1bOS', F5: '\x1b[15~', F6: '\x1b[17~', F7: '\x1b[18~' },
  ...{ F8: '\x1b[19~', F9: '\x1b[20~', F10: '\x1b[21~', F11: '\x1b[23~', F12: '\x1b[24~' },
}

/**
 * Returns the bytes of a key or chord as text: a name of `KeyboardEvent.key`, a character, or one of both behind `Ctrl+` or `Alt+`.
 * @param bytesOf gives the bytes of the keys that depend on a mode of the terminal
 * @throws TypeError if a terminal has no bytes for it
 */
export function chordSequence(name: string, bytesOf: (key: SerialKey) => string): string {
  if (Object.hasOwn(named, name)) return bytesOf(named[name]!)
  if (Object.hasOwn(sequences, name)) return sequences[name]!
  if ([...name].length === 1) return name
  const alt = /^Alt\+(.+)$/.exec(name)?.[1]
  if (alt !== undefined) return `\x1b${chordSequence(alt, bytesOf)}`
  const control = /^(?:Ctrl|Control)\+([@-_a-z ])$/.exec(name)?.[1]
  if (control !== undefined) return String.fromCharCode(control.toUpperCase().charCodeAt(0) & 31)
  throw new TypeError(`A terminal has no key ${JSON.stringify(name)}.`)
}
