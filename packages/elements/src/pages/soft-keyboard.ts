/** The on-screen keyboard of a phone or tablet: it opens for a hidden text field, whose input is typed at the machine. */
import type { OrielVnc } from '../oriel-vnc.ts'
import { byId } from './dom.ts'

/** A text in the field lets Backspace delete something. */
const PADDING = ' '.repeat(64)

/**
 * Offers a button for it.
 * @param layout the keyboard layout of the machine
 * @param takeHeld returns the modifiers that are held for the next key, and releases them
 */
export function offerSoftKeyboard(screen: OrielVnc, layout: () => Promise<string>, takeHeld: () => string[]): void {
  const button = byId('soft-keyboard', HTMLButtonElement)
  const field = byId('soft-keyboard-field', HTMLTextAreaElement)
  let last = PADDING
  /** A change is complete before the next begins. */
  let turn = Promise.resolve()
  const reset = () => {
    last = PADDING
    field.value = PADDING
    field.setSelectionRange(PADDING.length, PADDING.length)
  }
  button.hidden = false
  button.addEventListener('click', () => field.focus({ preventScroll: true }))
  field.addEventListener('focus', reset)
  // The keyboard was closed.
  field.addEventListener('blur', takeHeld)
  field.addEventListener('input', (event) => {
    const change = changeOf(last, field.value)
    last = field.value
    // A composition refers to the text before it, so that has to stay.
    if (!(event as InputEvent).isComposing) reset()
    const { chord, rest } = withHeld(takeHeld(), change)
    turn = turn.then(() => type(screen, { chord, ...rest }, layout))
  })
}

/** The difference between two texts: how many characters to delete at the end, and which to add. */
export interface Change {
  readonly deleted: number
  readonly added: string
}

/** Compares texts: keyboards of phones replace words, and not all of them name the keys. */
export function changeOf(before: string, after: string): Change {
  const [old, now] = [[...before], [...after]]
  const differs = old.findIndex((character, i) => character !== now[i])
  const kept = differs < 0 ? old.length : differs
  return { deleted: old.length - kept, added: now.slice(kept).join('') }
}

/** Returns the chord of held modifiers with the first key of a change, if both exist, and the rest of the change. */
export function withHeld(held: readonly string[], change: Change): { chord: string | undefined; rest: Change } {
  const { deleted, added } = change
  const [first, ...others] = added
  if (held.length === 0 || (deleted === 0 && first === undefined)) return { chord: undefined, rest: change }
  const chord = (key: string) => [...held, key].join('+')
  if (deleted > 0) return { chord: chord('Backspace'), rest: { deleted: deleted - 1, added } }
  return { chord: chord(first === '\n' ? 'Enter' : first!), rest: { deleted, added: others.join('') } }
}

async function type(
  screen: OrielVnc,
  { chord, deleted, added }: Change & { readonly chord: string | undefined },
  layout: () => Promise<string>,
): Promise<void> {
  try {
    if (chord !== undefined) await screen.sendKeys(chord)
    const name = await layout()
    if (deleted > 0) await screen.sendKeys(...Array<string>(deleted).fill('Backspace'))
    if (added !== '') await screen.typeText(added, { layout: name, untypable: 'skip' })
  } catch {
    // The overlay or the bar shows why: the console is closed, or another participant has control.
  }
}
