/** Keyboard layouts: which characters the keys of a guest's keyboard type. */

/** A keyboard layout, as a table of the keys in the main block. */
export interface Layout {
  /** The name that {@link loadLayout} takes: `de`, `ch-fr`. */
  readonly name: string
  /** For people: `German (Switzerland)`. */
  readonly label: string
  /**
   * The keys' codes of XT set 1, and the characters that each types: by itself, with Shift, with AltGr, with both. A
   * space stands for none.
   */
  readonly keys: readonly (readonly [scancode: number, characters: string])[]
  readonly dead: readonly DeadKey[]
  /** Keysyms that are older than Unicode's: `ő=1f5 …`, hexadecimal, separated by spaces. */
  readonly keysyms: string
}

/** A key that types nothing until the next one, and then the composed character. */
export interface DeadKey {
  readonly scancode: number
  /** Which modifiers it needs: 0 none, 1 Shift, 2 AltGr, 3 both. */
  readonly level: number
  /** The X11 keysym. */
  readonly keysym: number
  /** What it composes, of characters that no key has: `eêaâ ^` makes ê of e, â of a, and ^ of a space. */
  readonly pairs: string
}
