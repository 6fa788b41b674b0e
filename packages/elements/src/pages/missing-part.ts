/**
 * Tells the user that a part of the page could not be loaded, and what to do. Loaded once the console is connected: when a part
 * is missing, this one would be too.
 */
import { t } from '../language/texts/missing-part.ts'
import { PartNotLoaded } from '../load-part.ts'
import { setText } from './dom.ts'

let shown: { readonly notice: HTMLElement; readonly text: HTMLElement } | undefined

/** Shows a notice for each failure to load that no other code handles. */
export function tellOfMissingParts(): void {
  addEventListener('unhandledrejection', ({ reason }) => {
    if (reason instanceof PartNotLoaded) show(reason.message)
  })
}

function show(what: string): void {
  shown ??= createNotice()
  // Closed first: a screen reader announces the same text again, and a notice that is opened is above the panels.
  shown.notice.hidePopover()
  setText(shown.text, '')
  shown.notice.showPopover()
  setText(shown.text, `${what} ${t('missing-part.advice')}`)
}

function createNotice() {
  const notice = document.createElement('aside')
  const text = document.createElement('p')
  const reload = button(t('missing-part.reload'), () => location.reload())
  const close = button(t('missing-part.close'), () => notice.hidePopover())
  notice.className = 'notice'
  notice.popover = 'manual'
  text.setAttribute('role', 'alert')
  notice.append(text, reload, close)
  document.body.append(notice)
  return { notice, text }
}

function button(label: string, act: () => void): HTMLButtonElement {
  const made = document.createElement('button')
  made.type = 'button'
  made.textContent = label
  made.addEventListener('click', act)
  return made
}
