/** The console page of serial consoles: `serial.html`. */
import { OrielSerial } from '../oriel-serial.ts'
import { copy, dial, followState, offerFullScreen, onClick, onSubmit, showName } from './console-page.ts'
import { byId, setText } from './dom.ts'
import { readPageQuery } from './page-query.ts'
import { offerPeople } from './people.ts'
import { offerPaste } from './serial-paste.ts'

const terminal = byId('console', OrielSerial)
const query = readPageQuery(location.href)

const rename = showName(query)
terminal.addEventListener('titlechange', ({ detail }) => rename(detail.title))
offerKeys()
offerSize()
offerPaste(terminal)
offerCopy()
onClick('clear', () => {
  terminal.clear()
  terminal.focus()
})
offerFullScreen(terminal)
offerPeople(terminal)
followState(terminal, query)
dial(terminal, query)

/** The bytes that a terminal sends, by the key's name (ECMA-48; cursor keys in normal mode). */
const sequences: Readonly<Record<string, string>> = {
  escape: '\x1b',
  tab: '\t',
  enter: '\r',
  interrupt: '\x03',
  'end-of-input': '\x04',
  up: '\x1b[A',
  down: '\x1b[B',
  right: '\x1b[C',
  left: '\x1b[D',
}

function offerKeys(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-key]')) {
    button.addEventListener('click', () => terminal.send(sequences[button.dataset.key ?? ''] ?? ''))
  }
}

function offerSize(): void {
  const show = () => setText(byId('size', HTMLElement), `${terminal.columns} columns and ${terminal.rows} rows`)
  terminal.addEventListener('sizechange', show)
  onSubmit('keys-panel', () => terminal.send(`stty rows ${terminal.rows} cols ${terminal.columns}\r`))
  show()
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
    setText(note, (await copy(text.value)) ? 'Copied.' : 'The text is selected: copy it with Ctrl+C.')
  })
}
