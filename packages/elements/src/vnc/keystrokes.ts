/**
 * Converts text to key events. The codes are those of a US keyboard, so that noVNC can send scancodes to QEMU. Shift is
 * sent as a separate key: a hypervisor does not derive it from the keysym (RFC 6143 section 7.5.4).
 */

export interface Keystroke {
  /** X11 keysym. */
  readonly keysym: number
  /** `KeyboardEvent.code` on a US keyboard, or `null` for a character without a key. */
  readonly code: string | null
  readonly shift: boolean
}

/** Non-character keys, by `KeyboardEvent.key`. */
export const namedKeys = {
  Backspace: { keysym: 0xff08, code: 'Backspace', shift: false },
  Tab: { keysym: 0xff09, code: 'Tab', shift: false },
  Enter: { keysym: 0xff0d, code: 'Enter', shift: false },
  Escape: { keysym: 0xff1b, code: 'Escape', shift: false },
  ArrowLeft: { keysym: 0xff51, code: 'ArrowLeft', shift: false },
  ArrowUp: { keysym: 0xff52, code: 'ArrowUp', shift: false },
  ArrowRight: { keysym: 0xff53, code: 'ArrowRight', shift: false },
  ArrowDown: { keysym: 0xff54, code: 'ArrowDown', shift: false },
  ShiftLeft: { keysym: 0xffe1, code: 'ShiftLeft', shift: false },
} as const satisfies Record<string, Keystroke>

/** A key that `pressKey` takes. */
export type NamedKey = keyof typeof namedKeys

/**
 * Returns the keystrokes that type `text`. Line ends become Enter, tabs become Tab; other control characters are
 * dropped.
 */
export function keystrokes(text: string): Keystroke[] {
  const lines = text.normalize('NFC').replace(/\r\n?/g, '\n')
  return [...lines].flatMap((character) => keystroke(character) ?? [])
}

function keystroke(character: string): Keystroke | undefined {
  if (character === '\n') return namedKeys.Enter
  if (character === '\t') return namedKeys.Tab
  const point = character.codePointAt(0)!
  if (point < 0x20 || (point >= 0x7f && point < 0xa0)) return undefined
  return { keysym: keysymOf(point), ...(usKeys.get(character) ?? { code: null, shift: false }) }
}

// A Latin-1 character is its own keysym; every other one is in the Unicode range of keysyms.
const keysymOf = (point: number) => (point <= 0xff ? point : 0x0100_0000 + point)

const usRows = [
  [
    '`1234567890-=',
    '~!@#$%^&*()_+',
    'Backquote Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal',
  ],
  [
    'qwertyuiop[]\\',
    'QWERTYUIOP{}|',
    'KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight Backslash',
  ],
  ["asdfghjkl;'", 'ASDFGHJKL:"', 'KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote'],
  ['zxcvbnm,./ ', 'ZXCVBNM<>?', 'KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash Space'],
] as const

const usKeys: ReadonlyMap<string, { code: string; shift: boolean }> = new Map(
  usRows.flatMap(([plain, shifted, codes]) => {
    const keys = (characters: string, shift: boolean) =>
      [...characters].map((character, i) => [character, { code: codes.split(' ')[i]!, shift }] as const)
    return [...keys(plain, false), ...keys(shifted, true)]
  }),
)
