/** The console page of noVNC consoles: `vnc.html`, served as `vnc_lite.html` and `vnc_auto.html` too. */
import { OrielVnc } from '../oriel-vnc.ts'
import { type NamedKey, namedKeys } from '../vnc/keystrokes.ts'
import {
  copy,
  dial,
  followState,
  offerFullScreen,
  offerScale,
  onClick,
  onSubmit,
  showName,
  submitOnCtrlEnter,
} from './console-page.ts'
import { byId, setText } from './dom.ts'
import { readPageQuery } from './page-query.ts'
import { offerPeople } from './people.ts'

const screen = byId('console', OrielVnc)
const query = readPageQuery(location.href)

const rename = showName(query)
screen.addEventListener('desktopname', ({ detail }) => rename(detail.name))
offerKeys()
offerTyping()
offerClipboard()
offerScale(screen, query.scale === 'none' ? 'fit' : query.scale)
offerFullScreen(screen)
offerPeople(screen)
followState(screen, query)
screen.scale = query.scale
dial(screen, query)

function offerKeys(): void {
  onClick('ctrl-alt-del', () => {
    screen.sendCtrlAltDel()
    screen.focus()
  })
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-key]')) {
    button.addEventListener('click', () => screen.pressKey(keyOf(button)))
  }
}

function keyOf(button: HTMLButtonElement): NamedKey {
  const key = button.dataset.key ?? ''
  if (!Object.hasOwn(namedKeys, key)) throw new Error(`There is no key named ${key}.`)
  return key as NamedKey
}

function offerTyping(): void {
  const [text, note] = [byId('type-text', HTMLTextAreaElement), byId('type-note', HTMLElement)]
  const [send, stop] = [byId('type-send', HTMLButtonElement), byId('type-stop', HTMLButtonElement)]
  let typing: AbortController | undefined
  const busy = (on: boolean) => {
    const [from, to] = on ? [send, stop] : [stop, text]
    const hadFocus = document.activeElement === from
    send.disabled = on
    stop.hidden = !on
    // Hiding the focused button would leave the page without a focus.
    if (hadFocus) to.focus()
  }
  onSubmit('type-panel', async () => {
    if (text.value === '' || typing !== undefined) return
    typing = new AbortController()
    busy(true)
    setText(note, 'Typing…')
    try {
      await screen.typeText(text.value, {
        signal: typing.signal,
        onProgress: (typed, total) => showShare(typed / total),
      })
      setText(note, 'Typed.')
      text.value = ''
    } catch (error) {
      setText(note, typing.signal.aborted ? 'Stopped.' : error instanceof Error ? error.message : String(error))
    } finally {
      typing = undefined
      busy(false)
      showShare(0)
    }
  })
  stop.addEventListener('click', () => typing?.abort())
  submitOnCtrlEnter(text, 'type-panel')
  const showShare = (share: number) => send.style.setProperty('--share', `${Math.round(share * 100)}%`)
}

function offerClipboard(): void {
  const [text, note] = [byId('clipboard-text', HTMLTextAreaElement), byId('clipboard-note', HTMLElement)]
  screen.addEventListener('clipboard', ({ detail }) => {
    text.value = detail.text
    setText(note, 'Received from the machine.')
  })
  onSubmit('clipboard-panel', () => {
    screen.sendClipboard(text.value)
    setText(note, 'Sent.')
  })
  onClick('clipboard-copy', async () => {
    text.select()
    setText(note, (await copy(text.value)) ? 'Copied.' : 'The text is selected: copy it with Ctrl+C.')
  })
}
