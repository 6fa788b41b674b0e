/** The *Keys* panel of a VNC console: keys that a keyboard lacks, or that the browser keeps for itself. */
import type { OrielVnc } from '../oriel-vnc.ts'
import { offerCtrlAltDel } from './ctrl-alt-del.ts'
import { byId, setText } from './dom.ts'

/**
 * Offers the panel. A held modifier goes with the next key of the panel or of the soft keyboard, so that none stays down in the machine.
 * @returns a function that releases the held modifiers and returns their names, for the next key
 */
export function offerKeys(screen: OrielVnc): () => string[] {
  const modifiers = [...document.querySelectorAll<HTMLButtonElement>('button[data-hold]')]
  const release = () => {
    for (const button of modifiers) hold(button, false)
  }
  const take = () => {
    const held = modifiers.filter(isHeld).map(({ dataset }) => dataset.hold ?? '')
    release()
    return held
  }
  for (const button of modifiers) button.addEventListener('click', () => hold(button, !isHeld(button)))
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-key]')) {
    button.addEventListener('click', () => send(screen, [...take(), button.dataset.key ?? ''].join('+')))
  }
  byId('keys-panel', HTMLElement).addEventListener('beforetoggle', () => note(''))
  // The keys of the screen go to the machine as they are.
  screen.addEventListener('focusin', release)
  screen.addEventListener('statechange', release)
  offerCtrlAltDel(() => {
    send(screen, 'Control+Alt+Delete')
    screen.focus()
  })
  return take
}

const isHeld = (button: HTMLButtonElement) => button.getAttribute('aria-pressed') === 'true'
const hold = (button: HTMLButtonElement, on: boolean) => button.setAttribute('aria-pressed', String(on))
const note = (text: string) => setText(byId('keys-note', HTMLElement), text)

async function send(screen: OrielVnc, keys: string): Promise<void> {
  try {
    await screen.sendKeys(keys)
    note('')
  } catch (error) {
    note(error instanceof Error ? error.message : String(error))
  }
}
