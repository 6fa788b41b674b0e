/** The on-screen keyboard of a phone or tablet: it opens for a hidden text field, whose input is typed at the machine. */
import type { OrielVnc } from '../oriel-vnc.ts'
import { byId } from './dom.ts'

/** A text in the field lets Backspace delete something. */
const PADDING = ' '.repeat(64)

/** Offers a button for it, if the device has a touch screen. @param layout the keyboard layout of the machine */
export function offerSoftKeyboard(screen: OrielVnc, layout: () => Promise<string>): void {
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
  button.hidden = !matchMedia('(pointer: coarse)').matches
  button.addEventListener('click', () => field.focus({ preventScroll: true }))
  field.addEventListener('focus', reset)
  field.addEventListener('input', (event) => {
    const change = changeOf(last, field.value)
    last = field.value
    // A composition refers to the text before it, so that has to stay.
    if (!(event as InputEvent).isComposing) reset()
    turn = turn.then(() => type(screen, change, layout))
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

async function type(screen: OrielVnc, { deleted, added }: Change, layout: () => Promise<string>): Promise<void> {
  try {
    const name = await layout()
    if (deleted > 0) await screen.sendKeys(...Array<string>(deleted).fill('Backspace'))
    if (added !== '') await screen.typeText(added, { layout: name, untypable: 'skip' })
  } catch {
    // The overlay or the bar shows why: the console is closed, or another participant has control.
  }
}
