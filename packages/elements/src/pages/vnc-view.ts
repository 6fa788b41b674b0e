/** The *View* panel of a VNC console: the size, the quality and the pointer of its screen. */
import { type OrielVnc, qualities, type Scale } from '../oriel-vnc.ts'
import { byId } from './dom.ts'

/** Offers the panel, which shows the settings of `screen` and changes them at once. */
export function offerView(screen: OrielVnc): void {
  const scales = [...byId('view-scale', HTMLFieldSetElement).querySelectorAll('input')]
  const [drag, dot, only] = ['view-drag', 'view-dot', 'view-only'].map((id) => byId(id, HTMLInputElement)) as [
    HTMLInputElement,
    HTMLInputElement,
    HTMLInputElement,
  ]
  const quality = byId('view-quality', HTMLSelectElement)
  const show = () => {
    for (const input of scales) input.checked = input.value === screen.scale
    drag.checked = screen.drag
    // A screen that fits has nothing to move.
    drag.disabled = screen.scale !== 'none'
    quality.value = screen.quality
    dot.checked = screen.dotCursor
    only.checked = screen.viewOnly
  }
  byId('view-panel', HTMLElement).addEventListener('change', () => {
    screen.scale = (scales.find(({ checked }) => checked)?.value ?? 'fit') as Scale
    screen.drag = drag.checked
    screen.quality = qualities.find((name) => name === quality.value) ?? 'medium'
    screen.dotCursor = dot.checked
    screen.viewOnly = only.checked
    show()
  })
  byId('view-panel', HTMLElement).addEventListener('toggle', show)
  show()
}
