/** The *Clipboard* panel of a VNC console, which also copies the text on the screen and saves its picture. */
import { t as pageText } from '../language/texts/pages.ts'
import { t } from '../language/texts/vnc-page.ts'
import type { OrielVnc } from '../oriel-vnc.ts'
import { copy, machineName, onClick, onSubmit, saveFile } from './console-page.ts'
import { byId, setText } from './dom.ts'

export function offerClipboard(screen: OrielVnc): void {
  const [text, note] = [byId('clipboard-text', HTMLTextAreaElement), byId('clipboard-note', HTMLElement)]
  offerReceived(screen, text, note)
  onSubmit('clipboard-panel', () => {
    try {
      const { replaced } = screen.sendClipboard(text.value)
      setText(note, replaced.length === 0 ? t('clipboard.sent') : lossText(replaced))
    } catch (error) {
      setText(note, messageOf(error))
    }
  })
  onClick('clipboard-copy', () => copyFrom(text, note))
  offerScreen(screen)
}

/** Shows the clipboard of the machine, unless the box has a text of the user. */
function offerReceived(screen: OrielVnc, text: HTMLTextAreaElement, note: HTMLElement): void {
  const button = byId('clipboard-show', HTMLButtonElement)
  let [received, shown] = ['', '']
  const show = () => {
    text.value = received
    // The browser may change line ends.
    shown = text.value
    button.hidden = true
    setText(note, t('clipboard.received'))
  }
  screen.addEventListener('clipboard', ({ detail }) => {
    received = detail.text
    if (text.value === '' || text.value === shown) return show()
    button.hidden = false
    setText(note, t('clipboard.kept'))
  })
  button.addEventListener('click', () => {
    show()
    text.focus()
  })
}

function offerScreen(screen: OrielVnc): void {
  const [text, note] = [byId('screen-text', HTMLTextAreaElement), byId('screen-note', HTMLElement)]
  const tell = (failure: unknown) => setText(note, messageOf(failure))
  const read = async () => {
    setText(note, t('clipboard.reading'))
    text.value = await screen.text()
    text.hidden = text.value === ''
    if (text.hidden) setText(note, t('clipboard.no-text'))
    else await copyFrom(text, note)
  }
  onClick('screen-copy', () => void read().catch(tell))
  onClick('screen-save', () => void save(screen).catch(tell))
  byId('clipboard-panel', HTMLElement).addEventListener('beforetoggle', () => {
    text.hidden = true
    setText(note, '')
  })
}

async function save(screen: OrielVnc): Promise<void> {
  saveFile(await screen.screenshot(), `${machineName()}.png`)
}

async function copyFrom(text: HTMLTextAreaElement, note: HTMLElement): Promise<void> {
  text.select()
  setText(note, (await copy(text.value)) ? pageText('copied') : pageText('copy-selected'))
}

const lossText = (replaced: readonly string[]) =>
  t('clipboard.sent-replaced', { characters: replaced.slice(0, 12).join(' ') + (replaced.length > 12 ? ' …' : '') })

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
