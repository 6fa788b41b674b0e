/** The paste panel of the serial page. It also shows a paste that needs a look before the machine gets it. */
import { t } from '../language/texts/paste.ts'
import type { OrielSerial } from '../oriel-serial.ts'
import type { cleanPaste, PastedText } from '../serial/pasted.ts'
import { onClick, submitOnCtrlEnter } from './console-page.ts'
import { byId, setText } from './dom.ts'

/** What the page asks of the panel. */
export interface PastePanel {
  /** Opens the panel with a paste that was withheld. */
  show(pasted: PastedText): void
  /** Opens the panel with the reason why a paste failed. */
  fail(text: string): void
  /** Sends the text in the panel. */
  send(): Promise<void>
}

/** Offers the panel, once. `clean` is an argument because an import would divide the code of the page, which loads before. */
export function offerPaste(terminal: OrielSerial, clean: typeof cleanPaste): PastePanel {
  const text = byId('paste-text', HTMLTextAreaElement)
  text.addEventListener('input', () => showRemoved(clean(text.value).removed))
  byId('paste-panel', HTMLFormElement).addEventListener('beforetoggle', ({ newState }) => {
    if (newState === 'closed') setText(byId('paste-hint', HTMLElement), t('paste.hint'))
  })
  submitOnCtrlEnter(text, 'paste-panel')
  return {
    show: showPaste,
    fail(reason) {
      byId('paste-panel', HTMLElement).showPopover()
      // A screen reader announces only what a live region shows after it has appeared.
      requestAnimationFrame(() => note(reason))
    },
    send: sender(terminal, text),
  }
}

const note = (text: string) => setText(byId('paste-note', HTMLElement), text)

function showPaste({ text, removed, lines }: PastedText): void {
  const field = byId('paste-text', HTMLTextAreaElement)
  field.value = text
  note('')
  showRemoved(removed)
  setText(byId('paste-hint', HTMLElement), lines > 1 ? t('paste.lines', { count: lines }) : t('paste.hint'))
  byId('paste-panel', HTMLElement).showPopover()
  byId('paste-send', HTMLButtonElement).focus()
}

function showRemoved(removed: readonly string[]): void {
  const text = removed.length === 0 ? '' : t('paste.removed', { names: removed.join(', ') })
  setText(byId('paste-removed', HTMLElement), text)
}

/** Returns the function that sends the text of `field`, one at a time. */
function sender(terminal: OrielSerial, field: HTMLTextAreaElement): () => Promise<void> {
  const panel = byId('paste-panel', HTMLFormElement)
  let pasting: AbortController | undefined
  onClick('paste-stop', () => pasting?.abort())
  return async () => {
    if (field.value === '' || pasting !== undefined) return
    pasting = new AbortController()
    const progress = (sent: number, total: number) => showShare(total === 0 ? 0 : sent / total)
    busy(true)
    try {
      await terminal.paste(field.value, { signal: pasting.signal, onProgress: progress })
      note(t('paste.done'))
      field.value = ''
      showRemoved([])
      panel.hidePopover()
      terminal.focus()
    } catch (error) {
      note(pasting.signal.aborted ? t('paste.stopped') : error instanceof Error ? error.message : String(error))
    } finally {
      pasting = undefined
      busy(false)
      showShare(0)
    }
  }
}

function busy(on: boolean): void {
  const [send, stop] = [byId('paste-send', HTMLButtonElement), byId('paste-stop', HTMLButtonElement)]
  const hadFocus = document.activeElement === (on ? send : stop)
  send.disabled = on
  stop.hidden = !on
  if (on) note(t('paste.busy'))
  // Disabling or hiding the focused button would leave the page without a focus.
  if (hadFocus) (on ? stop : send).focus()
}

const showShare = (share: number) =>
  byId('paste-send', HTMLButtonElement).style.setProperty('--share', `${Math.round(share * 100)}%`)
