/**
 * The keys of a PC keyboard by their DOM names: `KeyboardEvent.code`, and `KeyboardEvent.key` of those without text.
 * Scancodes are of XT set 1, in the form of {@link KeyStroke.scancode}; they and the keysyms are facts of QEMU's
 * keycodemapdb and X11's keysymdef.h.
 */

export interface NamedKey {
  readonly scancode: number
  readonly keysym: number
}

const EXTENDED = 0x80
const FIRST_FUNCTION_KEYSYM = 0xffbe
const FIRST_KEYPAD_KEYSYM = 0xffb0

/** Name → scancode and keysym. */
const special: Readonly<Record<string, readonly [number, number]>> = {
  Escape: [0x01, 0xff1b],
  Backspace: [0x0e, 0xff08],
  Tab: [0x0f, 0xff09],
  Enter: [0x1c, 0xff0d],
  ControlLeft: [0x1d, 0xffe3],
  ControlRight: [0x1d | EXTENDED, 0xffe4],
  ShiftLeft: [0x2a, 0xffe1],
  ShiftRight: [0x36, 0xffe2],
  AltLeft: [0x38, 0xffe9],
  // X calls it ISO_Level3_Shift on layouts with AltGr. QEMU's keymaps have it under that name.
  AltRight: [0x38 | EXTENDED, 0xfe03],
  MetaLeft: [0x5b | EXTENDED, 0xffeb],
  MetaRight: [0x5c | EXTENDED, 0xffec],
  ContextMenu: [0x5d | EXTENDED, 0xff67],
  Space: [0x39, 0x20],
  CapsLock: [0x3a, 0xffe5],
  NumLock: [0x45, 0xff7f],
  ScrollLock: [0x46, 0xff14],
  PrintScreen: [0x54, 0xff61],
  Pause: [0x46 | EXTENDED, 0xff13],
  Insert: [0x52 | EXTENDED, 0xff63],
  Delete: [0x53 | EXTENDED, 0xffff],
  Home: [0x47 | EXTENDED, 0xff50],
  End: [0x4f | EXTENDED, 0xff57],
  PageUp: [0x49 | EXTENDED, 0xff55],
  PageDown: [0x51 | EXTENDED, 0xff56],
  ArrowUp: [0x48 | EXTENDED, 0xff52],
  ArrowLeft: [0x4b | EXTENDED, 0xff51],
  ArrowRight: [0x4d | EXTENDED, 0xff53],
  ArrowDown: [0x50 | EXTENDED, 0xff54],
  NumpadMultiply: [0x37, 0xffaa],
  NumpadSubtract: [0x4a, 0xffad],
  NumpadAdd: [0x4e, 0xffab],
  NumpadDecimal: [0x53, 0xffae],
  NumpadComma: [0x7e, 0xffac],
  NumpadEnter: [0x1c | EXTENDED, 0xff8d],
  NumpadDivide: [0x35 | EXTENDED, 0xffaf],
  KanaMode: [0x70, 0xff27],
  Convert: [0x79, 0xff23],
  NonConvert: [0x7b, 0xff22],
  Power: [0x5e | EXTENDED, 0x1008_ff2a],
  Sleep: [0x5f | EXTENDED, 0x1008_ff2f],
  WakeUp: [0x63 | EXTENDED, 0x1008_ff2b],
}

/** Keys with text, in rows of neighbouring scancodes. Their keysyms are those of a US keyboard. */
const rows: readonly (readonly [first: number, codes: string, characters: string])[] = [
  [0x02, 'Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal', '1234567890-='],
  [0x10, 'KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight', 'qwertyuiop[]'],
  [0x1e, 'KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backquote', "asdfghjkl;'`"],
  [0x2b, 'Backslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash', '\\zxcvbnm,./'],
  [0x56, 'IntlBackslash', '<'],
  [0x73, 'IntlRo', '\\'],
  [0x7d, 'IntlYen', '\\'],
]

/** Rows of the keypad; the digits are the keysyms' order. */
const keypadRows = [
  [0x47, [7, 8, 9]],
  [0x4b, [4, 5, 6]],
  [0x4f, [1, 2, 3, 0]],
] as const

/** Scancodes of F1 to F12. */
const functionKeys = [0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0x57, 0x58]

/** Other names of keys: `KeyboardEvent.key` where it differs from the code, and what people write. */
const otherNames: Readonly<Record<string, string>> = {
  Control: 'ControlLeft',
  Shift: 'ShiftLeft',
  Alt: 'AltLeft',
  AltGraph: 'AltRight',
  AltGr: 'AltRight',
  Meta: 'MetaLeft',
  Super: 'MetaLeft',
  Win: 'MetaLeft',
  Ctrl: 'ControlLeft',
  Esc: 'Escape',
  Del: 'Delete',
  Ins: 'Insert',
  Return: 'Enter',
  Menu: 'ContextMenu',
  Up: 'ArrowUp',
  Down: 'ArrowDown',
  Left: 'ArrowLeft',
  Right: 'ArrowRight',
}

const keys: ReadonlyMap<string, NamedKey> = makeKeys()

const codes = new Map([...keys].map(([name, { scancode }]) => [scancode, name]))

/** All names that {@link keyNamed} knows. */
export const keyNames: readonly string[] = [...keys.keys(), ...Object.keys(otherNames)]

/** Returns the key of a DOM name, `KeyA` or `Control`, or `undefined` for an unknown name. Case matters. */
export function keyNamed(name: string): NamedKey | undefined {
  return keys.get(Object.hasOwn(otherNames, name) ? otherNames[name]! : name)
}

/** Returns the `KeyboardEvent.code` of a scancode, or `undefined` for one that no key of this list has. */
export function codeOf(scancode: number): string | undefined {
  return codes.get(scancode)
}

function makeKeys(): Map<string, NamedKey> {
  const specialKeys = Object.entries(special).map(([name, [scancode, keysym]]) => [name, { scancode, keysym }] as const)
  const rowKeys = rows.flatMap(([first, codes, characters]) =>
    codes.split(' ').map((name, i) => [name, { scancode: first + i, keysym: characters.charCodeAt(i) }] as const),
  )
  const keypadKeys = keypadRows.flatMap(([first, digits]) =>
    digits.map((digit, i) => [`Numpad${digit}`, { scancode: first + i, keysym: FIRST_KEYPAD_KEYSYM + digit }] as const),
  )
  const functions = functionKeys.map(
    (scancode, i) => [`F${i + 1}`, { scancode, keysym: FIRST_FUNCTION_KEYSYM + i }] as const,
  )
  return new Map([...specialKeys, ...rowKeys, ...keypadKeys, ...functions])
}
