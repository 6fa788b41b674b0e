/** Helps those who use the keyboard: keeps its place, moves it in rows of keys, and says once in each browser how it leaves the console. */
import type { ConsoleElement } from '../console-element.ts'
import type { ConsoleSession } from '../console-events.ts'
import { t } from '../language/texts/panels.ts'
import { offerArrowKeys } from '../roving-focus.ts'
import { byId, setText } from './dom.ts'
import { keepFocus } from './kept-focus.ts'

const storageKey = 'oriel.keyboard-hint'
const shownMs = 8_000

/**
 * Keeps the place of the keyboard, lets the arrow keys move in the rows of the panel *Keys*, and shows the hint once the console has the
 * focus and takes keys. Call it when an element first has the focus.
 */
export function followFocus(screen: ConsoleElement<ConsoleSession>): void {
  keepFocus(() => screen)
  for (const row of document.querySelectorAll<HTMLElement>('.keys')) offerArrowKeys(row, 'button')
  const hint = () => {
    if (!screen.matches(':focus-within') || !takesKeys(screen)) return
    for (const type of ['focusin', 'presence']) screen.removeEventListener(type, hint)
    hintAtKeyboard(screen)
  }
  for (const type of ['focusin', 'presence']) screen.addEventListener(type, hint)
  hint()
}

const takesKeys = ({ state, viewOnly, presencePending, hasControl }: ConsoleElement<ConsoleSession>) =>
  state === 'connected' && !viewOnly && !presencePending && hasControl

/** Shows the hint for some seconds, or until the user has left the console. */
function hintAtKeyboard(screen: ConsoleElement<ConsoleSession>): void {
  if (matchMedia('(pointer: coarse)').matches || wasShown()) return
  const hint = byId('keyboard-hint', HTMLElement)
  setText(hint, t('keyboard-hint'))
  const hide = () => {
    clearTimeout(timer)
    setText(hint, '')
  }
  const timer = setTimeout(hide, shownMs)
  screen.addEventListener('release', hide, { once: true })
}

/** Whether this browser has shown the hint before; it has from now on. A browser without storage shows it on each page. */
function wasShown(): boolean {
  try {
    const shown = localStorage.getItem(storageKey) !== null
    localStorage.setItem(storageKey, 'shown')
    return shown
  } catch {
    return false
  }
}
