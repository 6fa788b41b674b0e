/** Says how the keyboard leaves the console, once in each browser. */
import type { ConsoleElement } from '../console-element.ts'
import type { ConsoleSession } from '../console-events.ts'
import { t } from '../language/texts/panels.ts'
import { byId, setText } from './dom.ts'
import { keepFocus } from './kept-focus.ts'

const storageKey = 'oriel.keyboard-hint'
const shownMs = 8_000

/** Keeps the place of the keyboard, and shows the hint once the console has the focus. Call it when an element first has the focus. */
export function followFocus(screen: ConsoleElement<ConsoleSession>): void {
  keepFocus(() => screen)
  if (screen.matches(':focus-within')) hintAtKeyboard(screen)
  else screen.addEventListener('focusin', () => hintAtKeyboard(screen), { once: true })
}

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
