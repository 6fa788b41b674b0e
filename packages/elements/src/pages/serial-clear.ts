/** Clears the terminal of the serial page, and offers for some time to bring its output back. */
import type { OrielSerial } from '../oriel-serial.ts'
import { byId, onClick } from './dom.ts'

/** How long *Undo* is offered. */
const undoMs = 20_000

let restore: (() => void) | undefined
let timer: ReturnType<typeof setTimeout> | undefined
let offered = false

/** Clears `terminal`, the only one of the page. */
export async function clear(terminal: OrielSerial): Promise<void> {
  const notice = byId('cleared-notice', HTMLElement)
  if (!offered) offerUndo(terminal, notice)
  offered = true
  restore = await terminal.clear()
  if (restore !== undefined) notice.showPopover()
  clearTimeout(timer)
  timer = setTimeout(() => notice.hidePopover(), undoMs)
  terminal.focus()
}

function offerUndo(terminal: OrielSerial, notice: HTMLElement): void {
  const close = () => {
    clearTimeout(timer)
    notice.hidePopover()
    terminal.focus()
  }
  onClick('cleared-undo', () => {
    restore?.()
    close()
  })
  onClick('cleared-close', close)
}
