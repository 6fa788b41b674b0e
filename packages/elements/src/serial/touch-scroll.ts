/** Scrolls a terminal with a finger. xterm.js 6.0 scrolls with a wheel and the scroll bar only. */
import type { Terminal } from '@xterm/xterm'
import { keySequence } from './keys.ts'

/** Scrolls the output as the finger moves. In a full-screen program, which has no scrollback, it sends arrow keys, as a wheel does. */
export function scrollByFinger(stage: HTMLElement, terminal: Terminal, send: (text: string) => void): void {
  let lastY: number | undefined
  const start = ({ touches }: TouchEvent) => {
    lastY = touches.length === 1 ? touches[0]!.clientY : undefined
  }
  const move = (event: TouchEvent) => {
    if (lastY === undefined || event.touches.length !== 1) return
    const rowPixels = stage.clientHeight / terminal.rows
    const rows = Math.trunc((lastY - event.touches[0]!.clientY) / rowPixels)
    // Keeps the part of a row that was not scrolled for the next move.
    lastY -= rows * rowPixels
    event.preventDefault()
    if (rows === 0) return
    if (terminal.buffer.active.type === 'normal') terminal.scrollLines(rows)
    else send(keySequence(rows < 0 ? 'up' : 'down', terminal.modes.applicationCursorKeysMode).repeat(Math.abs(rows)))
  }
  stage.addEventListener('touchstart', start, { passive: true })
  stage.addEventListener('touchmove', move, { passive: false })
}
