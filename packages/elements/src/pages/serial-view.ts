/** The *View* panel of a serial console: font size, search, saving of the output. */
import { t } from '../language/texts/panels.ts'
import type { OrielSerial } from '../oriel-serial.ts'
import { machineName, onClick, onSubmit, saveFile } from './console-page.ts'
import { byId, setText } from './dom.ts'

/** Offers the panel. */
export function offerView(terminal: OrielSerial): void {
  offerFontSize(terminal)
  offerSearch(terminal)
  onClick('save-text', () => save(terminal.output, 'txt'))
  onClick('save-colours', async () => save(await terminal.colouredOutput(), 'ansi'))
  follow('copy-on-select', terminal.copyOnSelect, (on) => {
    terminal.copyOnSelect = on
  })
  follow('screen-reader', terminal.screenReader, (on) => {
    terminal.screenReader = on
  })
  follow('view-only', terminal.viewOnly, (on) => {
    terminal.viewOnly = on
  })
}

function follow(id: string, isOn: boolean, set: (on: boolean) => void): void {
  const box = byId(id, HTMLInputElement)
  box.checked = isOn
  box.addEventListener('change', () => set(box.checked))
}

function offerFontSize(terminal: OrielSerial): void {
  const resize = (by: number) => {
    terminal.fontSize += by
    setText(byId('font-size', HTMLElement), String(terminal.fontSize))
  }
  onClick('font-smaller', () => resize(-1))
  onClick('font-larger', () => resize(1))
  resize(0)
}

function offerSearch(terminal: OrielSerial): void {
  const [text, note] = [byId('find-text', HTMLInputElement), byId('find-note', HTMLElement)]
  const find = async (direction: 'previous' | 'next') => {
    if (text.value === '') return setText(note, t('find.empty'))
    setText(note, (await terminal.find(text.value, direction)) ? '' : t('find.none'))
  }
  onSubmit('view-panel', () => void find('previous'))
  onClick('find-next', () => void find('next'))
  text.addEventListener('input', () => setText(note, ''))
}

/** With colours the file has escape sequences, which `less -R` shows. */
function save(output: string, suffix: 'txt' | 'ansi'): void {
  saveFile(new Blob([output, '\n'], { type: 'text/plain' }), `${machineName()}.${suffix}`)
}
