/** The button *Ctrl+Alt+Del*, which restarts many machines. */
import { byId } from './dom.ts'

/** Calls `send` on a click, after it has closed the panel *Keys*. A touch asks first, because fingers miss. */
export function offerCtrlAltDel(send: () => void): void {
  const button = byId('ctrl-alt-del', HTMLButtonElement)
  const question = byId('ctrl-alt-del-question', HTMLElement)
  const [yes, no] = [byId('ctrl-alt-del-yes', HTMLButtonElement), byId('ctrl-alt-del-no', HTMLButtonElement)]
  const panel = byId('keys-panel', HTMLElement)
  const ask = (on: boolean) => {
    question.hidden = !on
    button.hidden = on
    if (on) no.focus()
  }
  const sendAndClose = () => {
    panel.hidePopover()
    send()
  }
  button.addEventListener('click', (event) => {
    if ((event as PointerEvent).pointerType === 'touch') ask(true)
    else sendAndClose()
  })
  yes.addEventListener('click', sendAndClose)
  no.addEventListener('click', () => panel.hidePopover())
  panel.addEventListener('beforetoggle', () => ask(false))
}
