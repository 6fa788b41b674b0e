/** The *Type text* panel of a VNC console, and the notice that shows the progress while the panel is closed. */
import { t } from '../language/texts/vnc-page.ts'
import { loadPart, once } from '../load-part.ts'
import type { OrielVnc } from '../oriel-vnc.ts'
import { onSubmit, submitOnCtrlEnter } from './console-page.ts'
import { byId, setText } from './dom.ts'

/** @param server identifies the machine, for the layout that was chosen for it */
export function offerTyping(screen: OrielVnc, server: () => string): void {
  const [text, layout] = [byId('type-text', HTMLTextAreaElement), byId('type-layout', HTMLSelectElement)]
  const view = createView(text)
  const layouts = offerLayouts(layout, server)
  let typing: AbortController | undefined
  const type = async (untypable: 'refuse' | 'skip') => {
    const { typingTrouble, untypableText } = await layouts()
    if (text.value === '' || typing !== undefined) return
    typing = new AbortController()
    const { signal } = typing
    view.begin()
    try {
      const { skipped } = await screen.typeText(text.value, {
        layout: layout.value,
        untypable,
        signal,
        onProgress: (typed, total) => view.progress(typed / total),
      })
      text.value = ''
      view.end(
        skipped.length === 0 ? t('type.done') : t('type.done-without', { characters: skipped.join(' ') }),
        'good',
      )
    } catch (error) {
      const lacking = untypableText(error)
      if (lacking !== undefined) view.untypable(lacking)
      else view.end(signal.aborted ? t('type.stopped') : (typingTrouble(error) ?? messageOf(error)), 'bad')
    } finally {
      typing = undefined
    }
  }
  onSubmit('type-panel', () => type('refuse'))
  byId('type-rest', HTMLButtonElement).addEventListener('click', () => type('skip'))
  for (const id of ['type-stop', 'typing-stop'])
    byId(id, HTMLButtonElement).addEventListener('click', () => typing?.abort())
  for (const changed of [text, layout]) changed.addEventListener('input', () => view.edited())
  submitOnCtrlEnter(text, 'type-panel')
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** The tables of layouts are not part of the page's first script. */
const loadLayouts = () => loadPart(() => import('../layout-choice.ts'))

/** @returns a function that loads the layouts, of which one is chosen then */
function offerLayouts(select: HTMLSelectElement, server: () => string): () => ReturnType<typeof loadLayouts> {
  const offer = once(async () => {
    const layouts = await loadLayouts()
    const chosen = await layouts.chosenLayout(server())
    select.append(...layouts.layoutOptions().map(({ label, name }) => new Option(label, name)))
    select.value = chosen
    return layouts
  })
  byId('type-panel', HTMLElement).addEventListener('beforetoggle', offer)
  select.addEventListener('change', async () => (await offer()).rememberLayout(server(), select.value))
  return offer
}

/** Shows typing in the panel and in the notice. */
function createView(text: HTMLTextAreaElement) {
  const [send, stop] = [byId('type-send', HTMLButtonElement), byId('type-stop', HTMLButtonElement)]
  const [rest, note] = [byId('type-rest', HTMLButtonElement), byId('type-note', HTMLElement)]
  const notice = byId('typing-notice', HTMLElement)
  const [noticeText, noticeStop] = [byId('typing-text', HTMLElement), byId('typing-stop', HTMLButtonElement)]
  const close = byId('typing-close', HTMLButtonElement)
  const bar = byId('typing-progress', HTMLProgressElement)
  const say = (sentence: string) => {
    setText(note, sentence)
    setText(noticeText, sentence)
  }
  const busy = (on: boolean) => {
    const [from, to] = on ? [send, stop] : [stop, text]
    const hadFocus = document.activeElement === from || document.activeElement === rest
    send.disabled = on
    rest.hidden = true
    stop.hidden = !on
    for (const part of [bar, noticeStop]) part.hidden = !on
    close.hidden = on
    text.readOnly = on
    // Hiding the focused button would leave the page without a focus.
    if (hadFocus) to.focus()
  }
  const progress = (share: number) => {
    bar.value = share
    send.style.setProperty('--share', `${Math.round(share * 100)}%`)
  }
  close.addEventListener('click', () => notice.hidePopover())
  let closing: ReturnType<typeof setTimeout> | undefined
  return {
    begin() {
      busy(true)
      progress(0)
      say(t('type.busy'))
      clearTimeout(closing)
      notice.showPopover()
    },
    progress,
    end(sentence: string, tone: 'good' | 'bad') {
      busy(false)
      progress(0)
      say(sentence)
      // A success needs no answer. A failure that happened out of sight stays until it is read.
      if (isPanelOpen()) notice.hidePopover()
      else if (tone === 'good') closing = setTimeout(() => notice.hidePopover(), successMs)
    },
    untypable(sentence: string) {
      this.end(sentence, 'bad')
      rest.hidden = false
    },
    edited() {
      rest.hidden = true
      setText(note, '')
    },
  }
}

/** How long a success is shown that happened out of sight. */
const successMs = 4_000

const isPanelOpen = () => byId('type-panel', HTMLElement).matches(':popover-open')
