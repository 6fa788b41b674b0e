/** Plans the keys that type a text. */
import { ALT_GR, type Chord, chordsOf, keysymOf, SHIFT } from './chords.ts'
import { keyNamed, type NamedKey } from './key-names.ts'
import type { Layout } from './layout.ts'
import { layout as us } from './layouts/us.ts'
import type { KeyStroke } from './stroke.ts'
import { UntypableError, untypable } from './untypable.ts'

export interface TextOptions {
  /** The layout of the guest. Default: US. */
  readonly layout?: Layout
  /**
   * A second layout of the guest, for what the first does not have: Latin letters beside `ru`. The guest must start
   * with the first, and the plan returns to it.
   */
  readonly alternate?: Layout
  /** The keys that switch between the two, as for {@link planKeys}. Default: `Alt+Shift`. */
  readonly toggle?: string
  /**
   * What happens to characters that the layouts lack. Default: `refuse`, an UntypableError. `keysym` sends their keysym without
   * a scancode: QEMU drops that unless its own layout, `-k`, has the key; servers that control the keyboard type it.
   */
  readonly missing?: 'refuse' | 'keysym'
  /** Layouts to look through, to name in the error those that can type what the layout cannot. */
  readonly candidates?: readonly Layout[]
}

/** Control characters that have a key. */
const controlKeys: Readonly<Record<string, string>> = {
  '\n': 'Enter',
  '\t': 'Tab',
  '\b': 'Backspace',
  '\u001b': 'Escape',
}

/** A key that a text needs, on one of the layouts. `undefined` stands for both: the key has no text. */
interface Step extends Chord {
  readonly layout: Layout | undefined
}

/**
 * Returns the keys that type `text`. Line ends become Enter, tabs Tab, U+0008 Backspace, U+001B Escape. A modifier is
 * pressed once for a run of characters that need it; all keys are up at the end. Caps Lock must be off in the guest.
 * Num Lock does not matter.
 * @throws UntypableError if the layout lacks a character; it names all that are missing
 */
export function planText(text: string, options: TextOptions = {}): KeyStroke[] {
  return planCharacters(text, options).strokes
}

/** The keys of a text, and where in them its characters end. */
export interface CharacterPlan {
  readonly strokes: KeyStroke[]
  /** For each character the stroke with which it is complete. */
  readonly ends: ReadonlySet<KeyStroke>
}

/** As {@link planText}. */
export function planCharacters(text: string, options: TextOptions = {}): CharacterPlan {
  const { layout = us, alternate, toggle = 'Alt+Shift', missing: policy = 'refuse', candidates = [] } = options
  const layouts = alternate ? [layout, alternate] : [layout]
  const characters = [...text.normalize('NFC').replace(/\r\n?/g, '\n')]
  const fallback = policy === 'keysym' ? keysymStep : () => undefined
  const steps = characters.map((character) => stepsOf(character, layouts) ?? fallback(character))
  const missing = characters.filter((_, i) => steps[i] === undefined)
  if (missing.length > 0) {
    throw new UntypableError(
      layouts.map(({ name }) => name),
      untypable(missing, candidates),
    )
  }
  return play(steps as Step[][], layout, toggle)
}

function stepsOf(character: string, layouts: readonly Layout[]): Step[] | undefined {
  const control = controlKeys[character]
  if (control) return [{ ...keyNamed(control)!, modifiers: 0, layout: undefined }]
  // A space is the same key on both, so it does not switch.
  if (character === ' ') return [{ ...chordsOf(us).get(' ')![0]!, layout: undefined }]
  const layout = layouts.find((each) => chordsOf(each).has(character))
  return (
    layout &&
    chordsOf(layout)
      .get(character)!
      .map((chord) => ({ ...chord, layout }))
  )
}

/** A control character has no keysym. */
const keysymStep = (character: string): Step[] | undefined =>
  /\p{Cc}/u.test(character)
    ? undefined
    : [{ scancode: 0, keysym: keysymOf(character), modifiers: 0, layout: undefined }]

const modifierKeys = [
  { bit: ALT_GR, ...keyNamed('AltGraph')! },
  { bit: SHIFT, ...keyNamed('ShiftLeft')! },
]

function play(characters: readonly Step[][], first: Layout, toggle: string): CharacterPlan {
  const ends = new Set<KeyStroke>()
  const strokes: KeyStroke[] = []
  let held = 0
  let current = first
  const hold = (modifiers: number) => {
    strokes.push(...changes(held, modifiers))
    held = modifiers
  }
  const switchTo = (layout: Layout) => {
    if (layout === current) return
    hold(0)
    strokes.push(...pressTogether(toggle.split('+').map(switchKey)))
    current = layout
  }
  for (const steps of characters) {
    for (const step of steps) {
      switchTo(step.layout ?? current)
      hold(step.modifiers)
      strokes.push(...tap(step))
    }
    ends.add(strokes.at(-1)!)
  }
  hold(0)
  switchTo(first)
  return { strokes, ends }
}

/** Releases before it presses: AltGr with Shift is a level of its own, which no key should see by accident. */
function changes(from: number, to: number): KeyStroke[] {
  const released = modifierKeys.filter(({ bit }) => from & bit && !(to & bit)).map((key) => stroke(key, false))
  const pressed = modifierKeys.filter(({ bit }) => to & bit && !(from & bit)).map((key) => stroke(key, true))
  return [...released, ...pressed]
}

function switchKey(name: string): NamedKey {
  const key = keyNamed(name)
  if (!key)
    throw new TypeError(`The key "${name}" cannot switch layouts. Use names like Alt, Shift, Control, CapsLock.`)
  return key
}

/** Returns the strokes that press keys in their order, and release them in the other. */
export function pressTogether(keys: readonly Pick<KeyStroke, 'scancode' | 'keysym'>[]): KeyStroke[] {
  return [...keys.map((key) => stroke(key, true)), ...keys.toReversed().map((key) => stroke(key, false))]
}

const tap = (key: Pick<KeyStroke, 'scancode' | 'keysym'>) => pressTogether([key])

const stroke = ({ scancode, keysym }: Pick<KeyStroke, 'scancode' | 'keysym'>, down: boolean): KeyStroke => ({
  down,
  scancode,
  keysym,
})
