/** The console page of serial consoles: `serial.html`, served as `serial_auto.html` too. */
import { t as pageText } from '../language/texts/pages.ts'
import { t } from '../language/texts/serial-page.ts'
import { loadPart, once } from '../load-part.ts'
import { OrielSerial } from '../oriel-serial.ts'
import { isSerialKey } from '../serial/keys.ts'
import { cleanPaste } from '../serial/pasted.ts'
import {
  copy,
  dial,
  followState,
  offerFullScreen,
  offerPeopleOnceConnected,
  offerSession,
  onClick,
  onFirstOpen,
  onSubmit,
  showName,
} from './console-page.ts'
import { byId, setText } from './dom.ts'
import { startLanguage } from './page-language.ts'
import { readPageQuery } from './page-query.ts'

await startLanguage()
const terminal = byId('console', OrielSerial)
const query = readPageQuery(location.href)

const rename = showName(query)
terminal.addEventListener('titlechange', ({ detail }) => rename(detail.title))
offerKeys()
followSilence()
offerSize()
offerPaste()
offerCopy()
onClick('clear', async () => (await loadPart(() => import('./serial-clear.ts'))).clear(terminal))
onFirstOpen('view-panel', async () => (await loadPart(() => import('./serial-view.ts'))).offerView(terminal))
offerSession(terminal, () => [[t('session.terminal'), t('session.terminal-size', terminalSize())]])
offerFullScreen(terminal)
offerPeopleOnceConnected(terminal)
followState(terminal)
dial(terminal, query)

function offerKeys(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-key]')) {
    const key = button.dataset.key ?? ''
    if (!isSerialKey(key)) throw new Error(`There is no key named ${key}.`)
    button.addEventListener('click', () => terminal.pressKey(key))
  }
}

/** Shows that a silent port is connected: an empty terminal looks like a broken one. */
function followSilence(): void {
  terminal.addEventListener('silencechange', ({ detail: { silent } }) =>
    setText(byId('silent', HTMLElement), silent ? t('serial.silent') : ''),
  )
}

function terminalSize() {
  return { columns: terminal.columns, rows: terminal.rows }
}

function offerSize(): void {
  const show = () => setText(byId('size', HTMLElement), t('serial.size', terminalSize()))
  terminal.addEventListener('sizechange', show)
  onSubmit('keys-panel', () => terminal.send(`stty rows ${terminal.rows} cols ${terminal.columns}\r`))
  show()
}

/** Offers to paste. The code of the panel is loaded once the console is connected, or when it is needed before. */
function offerPaste(): void {
  const panel = once(async () => (await loadPart(() => import('./serial-paste.ts'))).offerPaste(terminal, cleanPaste))
  terminal.addEventListener('pastecheck', async (event) => {
    if (event.detail.removed.length === 0 && !byId('paste-ask', HTMLInputElement).checked) return
    event.preventDefault()
    ;(await panel()).show(event.detail)
  })
  terminal.addEventListener('pastefailed', async ({ detail }) => (await panel()).fail(detail.text))
  terminal.addEventListener('connect', () => void panel().catch(() => undefined), { once: true })
  onSubmit('paste-panel', async () => (await panel()).send())
}

function offerCopy(): void {
  const [text, note] = [byId('copy-text', HTMLTextAreaElement), byId('copy-note', HTMLElement)]
  byId('copy-panel', HTMLFormElement).addEventListener('beforetoggle', (event) => {
    if (event.newState !== 'open') return
    text.value = terminal.text
    setText(note, '')
  })
  onSubmit('copy-panel', async () => {
    text.select()
    setText(note, (await copy(text.value)) ? pageText('copied') : pageText('copy-selected'))
  })
}
