/** The keys that type a character on a layout: which modifiers are down, and which key is pressed. */
import type { Layout } from './layout.ts'

export interface Chord {
  readonly scancode: number
  readonly keysym: number
  /** Bits: {@link SHIFT}, {@link ALT_GR}. */
  readonly modifiers: number
}

export const SHIFT = 1
export const ALT_GR = 2

const SPACE_SCANCODE = 0x39
/** Keys that only some keyboards have: 102nd, Ro, Yen. */
const RARE_KEYS: readonly number[] = [0x56, 0x73, 0x7d]
/** Adding this to a code point gives its keysym, unless it is in Latin-1 or older than Unicode's keysyms. */
const UNICODE_KEYSYMS = 0x0100_0000
const LATIN_1_END = 0xff

/** For each character that a layout types, the chords that type it: one, or a dead key's and the one after it. */
export type Chords = ReadonlyMap<string, readonly Chord[]>

type ChordsOf = [character: string, chords: Chord[]]

const known = new WeakMap<Layout, Chords>()

/**
 * Returns the chords of a layout. Of several ways to type a character it has the one that most guests agree on: no dead
 * key, a key that every keyboard has, and as few modifiers as possible, where Shift is better than AltGr.
 */
export function chordsOf(layout: Layout): Chords {
  const chords = known.get(layout) ?? makeChords(layout)
  known.set(layout, chords)
  return chords
}

/** Returns the X11 keysym of a character, for a layout that may prefer an older one than Unicode's. */
export function keysymOf(character: string, old: ReadonlyMap<string, number> = new Map()): number {
  const point = character.codePointAt(0)!
  return old.get(character) ?? (point <= LATIN_1_END ? point : UNICODE_KEYSYMS + point)
}

function makeChords(layout: Layout): Chords {
  const direct = directChords(layout)
  const composed = layout.dead
    .toSorted((a, b) => a.level - b.level)
    .flatMap(({ scancode, level, keysym, pairs }) =>
      pairsOf(pairs).flatMap(([next, result]) => {
        const after = direct.get(next)
        return after ? [[result, [{ scancode, keysym, modifiers: level }, after]] satisfies ChordsOf] : []
      }),
    )
  // The last entry of a Map wins, and the first way to compose a character is the best.
  const single = [...direct].map(([character, chord]): ChordsOf => [character, [chord]])
  return new Map<string, readonly Chord[]>([...composed.toReversed(), ...single])
}

function directChords(layout: Layout): Map<string, Chord> {
  const old = oldKeysyms(layout)
  const all = layout.keys.flatMap(([scancode, row]) =>
    [...row].flatMap((character, modifiers) => (character === ' ' ? [] : [{ character, scancode, modifiers }])),
  )
  const space = { character: ' ', scancode: SPACE_SCANCODE, modifiers: 0 }
  const worstFirst = [...all, space].toReversed().toSorted((a, b) => cost(b) - cost(a))
  return new Map(
    worstFirst.map(({ character, ...key }) => [character, { ...key, keysym: keysymOf(character, old) }] as const),
  )
}

/** By the modifiers. A key that is rare, even with Shift, is worse than Shift on another, and better than AltGr. */
const COSTS = [0, 1, 4, 6]
const RARE_COSTS = [2, 3, 5, 7]

function cost({ scancode, modifiers }: { scancode: number; modifiers: number }): number {
  return (RARE_KEYS.includes(scancode) ? RARE_COSTS : COSTS)[modifiers]!
}

function oldKeysyms({ keysyms }: Layout): Map<string, number> {
  const entries = keysyms === '' ? [] : keysyms.split(' ')
  return new Map(entries.map((entry) => [entry[0]!, Number.parseInt(entry.slice(2), 16)]))
}

function pairsOf(pairs: string): [next: string, result: string][] {
  return Array.from({ length: pairs.length / 2 }, (_, i) => [pairs[2 * i]!, pairs[2 * i + 1]!])
}
