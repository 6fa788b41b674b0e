/** The view from the demo guest's oriel: three panes in which a day passes in a minute, and a night in the next. */
import type { Colour, Picture, Rect } from './picture.ts'

/** The window's area. */
export const windowArea: Rect = { x: 452, y: 58, width: 172, height: 212 }

const frame: Colour = 0x3a4656
const frameLight: Colour = 0x56657a
const glassTop = 16
const panes = [
  { left: 8, right: 50, top: 34 },
  { left: 56, right: 116, top: 10 },
  { left: 122, right: 164, top: 34 },
]
const glassBottom = 196

/** Draws the window at `time`. `background` is the colour of the wall. */
export function drawWindow(picture: Picture, time: Date, background: Colour): void {
  const night = time.getMinutes() % 2 === 1
  const share = (time.getSeconds() + 0.5) / 60
  const star = { x: 12 + share * 148, y: 120 - Math.sin(share * Math.PI) * 92 }
  for (let y = 0; y < windowArea.height; y++) {
    for (let x = 0; x < windowArea.width; x++) {
      picture.dot(windowArea.x + x, windowArea.y + y, colourAt(x, y, star, night) ?? background)
    }
  }
}

function colourAt(x: number, y: number, star: { x: number; y: number }, night: boolean): Colour | undefined {
  if (y > glassBottom + 4) return y < glassBottom + 14 ? (y < glassBottom + 7 ? frameLight : frame) : undefined
  for (const pane of panes) {
    if (inside(x, y, pane, 0)) return isBar(x, y, pane) ? frame : outdoors(x, y, star, night)
    if (inside(x, y, pane, 6)) return inside(x, y, pane, 2) ? frameLight : frame
  }
  return undefined
}

/** Whether a point is in a pane with a round arch, enlarged by `margin` pixels. */
function inside(x: number, y: number, pane: { left: number; right: number; top: number }, margin: number): boolean {
  if (x < pane.left - margin || x > pane.right + margin || y > glassBottom + margin) return false
  const [middle, radius] = [(pane.left + pane.right) / 2, (pane.right - pane.left) / 2]
  const spring = pane.top + radius * 0.7
  return y >= spring || ((x - middle) / (radius + margin)) ** 2 + ((y - spring) / (radius * 0.7 + margin)) ** 2 <= 1
}

function isBar(x: number, y: number, pane: { left: number; right: number }): boolean {
  const middle = Math.round((pane.left + pane.right) / 2)
  return Math.abs(x - middle) < 1 || y === glassTop + 64 || y === glassTop + 122
}

function outdoors(x: number, y: number, star: { x: number; y: number }, night: boolean): Colour {
  const far = 142 + Math.sin(x / 21) * 8 + Math.sin(x / 9 + 1) * 3
  const near = 166 + Math.sin(x / 30 + 2.2) * 11
  if (y > near) return night ? 0x0f2a26 : mix(0x4f8f4a, 0x2f6b3c, (y - near) / 40)
  if (y > far) return night ? 0x16343a : 0x6fa37a
  const distance = Math.hypot(x - star.x, y - star.y)
  if (distance < 9) return night ? 0xe8ecf4 : 0xffe08a
  const sky = night ? mix(0x0a1030, 0x27406a, y / 150) : mix(0x4a8fd0, 0xf3d9b0, y / 150)
  if (night && (x * 7919 + y * 104729) % 487 === 0) return 0xcfd8ee
  return distance < 30 ? mix(night ? 0x9fb0d4 : 0xfff0bf, sky, 0.45 + (distance - 9) / 38) : sky
}

/** Mixes two colours. A share of 0 gives the first. */

function mix(a: Colour, b: Colour, share: number): Colour {
  const part = Math.min(1, Math.max(0, share))
  const channel = (shift: number) => {
    const [from, to] = [(a >> shift) & 255, (b >> shift) & 255]
    return Math.round(from + (to - from) * part) << shift
  }
  return channel(16) | channel(8) | channel(0)
}
