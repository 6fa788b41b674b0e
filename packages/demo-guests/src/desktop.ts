/** The demo guest's desktop: a greeting, a clock, a view, a line to type in, and a pointer that paints. */
import { type Colour, Picture, type Rect } from './picture.ts'
import { drawWindow, windowArea } from './window-view.ts'

export const desktopWidth = 640
export const desktopHeight = 400

/** Keysyms that the guest acts on (X11's keysymdef; RFC 6143 section 7.5.4). */
export const keysym = {
  backSpace: 0xff08,
  tab: 0xff09,
  return: 0xff0d,
  escape: 0xff1b,
  keypadEnter: 0xff8d,
  shiftLeft: 0xffe1,
  shiftRight: 0xffe2,
  controlLeft: 0xffe3,
  controlRight: 0xffe4,
} as const

const colours = {
  wall: 0x0c1219,
  bar: 0x172130,
  edge: 0x2b3a50,
  text: 0xdbe4ee,
  dim: 0x8796aa,
  accent: 0xf2b84b,
  prompt: 0x6fd08c,
  paint: [0xf2b84b, 0x6fd08c, 0x6cb6ff],
} satisfies Record<string, Colour | Colour[]>

const titleArea: Rect = { x: 0, y: 0, width: desktopWidth, height: 41 }
const terminalArea: Rect = { x: 16, y: 138, width: 432, height: 220 }
const statusArea: Rect = { x: 0, y: 366, width: desktopWidth, height: 34 }
const lineHeight = 22
const columns = terminalArea.width / 12
const terminalRows = terminalArea.height / lineHeight
const maxInput = 256

export interface DesktopOptions {
  readonly name: string
  /** The guest's clock. */
  readonly now: () => Date
}

/** One desktop, shared by all viewers of a guest. */
export class Desktop implements Disposable {
  readonly name: string
  readonly picture = new Picture(desktopWidth, desktopHeight)
  readonly #now: () => Date
  readonly #lines: string[] = ['Say "help" to hear what I can do.']
  readonly #held = new Set<number>()
  #input = ''
  #viewers = 0
  #pointer = { x: 0, y: 0, buttons: 0 }
  /** Since the epoch. */
  #shownSecond = 0
  #tick: NodeJS.Timeout | undefined

  constructor({ name, now }: DesktopOptions) {
    this.name = name
    this.#now = now
    this.#drawAll()
    this.#armClock()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#tick)
  }

  /** Counts one more viewer until the returned function is called. */
  join(): () => void {
    this.#setViewers(this.#viewers + 1)
    return () => {
      this.#held.clear()
      this.#setViewers(this.#viewers - 1)
    }
  }

  /** A key goes down or up. The keysym decides the character; modifiers only make commands of it. */
  key(down: boolean, symbol: number): void {
    if (modifiers.has(symbol)) down ? this.#held.add(symbol) : this.#held.delete(symbol)
    if (down) this.#press(symbol)
    this.#drawTerminal()
    this.#drawStatus()
  }

  /** The pointer moves or a button changes; bit 0 of `buttons` is the left one. */
  pointer(buttons: number, x: number, y: number): void {
    const at = { x: Math.min(x, desktopWidth - 1), y: Math.min(y, desktopHeight - 1), buttons }
    const brush = [0, 1, 2].find((button) => buttons & (1 << button))
    const from = this.#pointer.buttons & 7 ? this.#pointer : at
    if (brush !== undefined) this.picture.stroke(from, at, colours.paint[brush]!)
    this.#pointer = at
    this.#drawStatus()
  }

  /** Text from the viewer's clipboard is typed into the line, as far as it fits. */
  paste(text: string): void {
    this.#input = (this.#input + text.replaceAll(/[^\x20-\x7e]+/g, ' ')).slice(0, maxInput)
    this.#drawTerminal()
  }

  #press(symbol: number): void {
    if (this.#held.has(keysym.controlLeft) || this.#held.has(keysym.controlRight)) this.#command(symbol)
    else if (symbol >= 0x20 && symbol <= 0x7e)
      this.#input = (this.#input + String.fromCharCode(symbol)).slice(0, maxInput)
    else if (symbol === keysym.tab) this.#input = `${this.#input}  `.slice(0, maxInput)
    else if (symbol === keysym.backSpace) this.#input = this.#input.slice(0, -1)
    else if (symbol === keysym.return || symbol === keysym.keypadEnter) this.#enter()
    else if (symbol === keysym.escape) this.picture.wipe()
  }

  #command(symbol: number): void {
    const letter = String.fromCharCode(symbol).toLowerCase()
    if (letter === 'l') this.#lines.length = 0
    if (letter === 'u' || letter === 'c') this.#input = ''
  }

  #enter(): void {
    const input = this.#input
    this.#input = ''
    this.#print(`${this.#prompt}${input}`)
    this.#answer(input.trim())
  }

  #answer(input: string): void {
    if (input === 'help') this.#print('help date who clear, or just write.')
    else if (input === 'date') this.#print(this.#now().toString().slice(0, 33))
    else if (input === 'who') this.#print(`${this.#viewers} looking at ${this.name}`)
    else if (input === 'clear') {
      this.#lines.length = 0
      this.picture.wipe()
    }
  }

  #print(line: string): void {
    for (let start = 0; start === 0 || start < line.length; start += columns) {
      this.#lines.push(line.slice(start, start + columns))
    }
    this.#lines.splice(0, Math.max(0, this.#lines.length - terminalRows + 1))
  }

  get #prompt(): string {
    return `${shortened(this.name, 12)}$ `
  }

  #setViewers(count: number): void {
    this.#viewers = count
    this.#drawStatus()
  }

  /** Sets a timer for the end of the second on the guest's clock, so that the display skips no second and is never late. */
  #armClock(): void {
    const untilNextMs = (this.#shownSecond + 1) * 1000 - this.#now().getTime()
    const tick = () => {
      // Timers count whole milliseconds, so that one may wake just before the second has ended.
      if (secondOf(this.#now()) !== this.#shownSecond) this.#drawTime()
      this.#armClock()
    }
    this.#tick = setTimeout(tick, Math.min(Math.max(untilNextMs, 0), 1000)).unref()
  }

  #drawAll(): void {
    this.picture.fill(this.picture.bounds, colours.wall)
    this.picture.text(16, 58, 'This guest draws itself: no disk,', colours.text)
    this.picture.text(16, 80, 'no hypervisor, only RFB.', colours.text)
    this.picture.text(16, 106, 'Type, or hold a button and paint.', colours.dim)
    this.#drawTime()
    this.#drawTerminal()
    this.#drawStatus()
  }

  #drawTime(): void {
    const now = this.#now()
    this.#shownSecond = secondOf(now)
    this.#drawTitle(now)
    this.#drawView(now)
  }

  #drawTitle(now: Date): void {
    const { picture } = this
    picture.fill(titleArea, colours.bar)
    picture.fill({ ...titleArea, y: titleArea.height - 1, height: 1 }, colours.edge)
    picture.text(16, 12, 'Oriel demo guest', colours.text)
    picture.text(16 + 17 * 12, 12, shortened(this.name, 24), colours.accent)
    picture.text(desktopWidth - 16 - 8 * 12, 12, clockText(now), colours.prompt)
    picture.changed(titleArea)
  }

  #drawView(now: Date): void {
    drawWindow(this.picture, now, colours.wall)
    this.picture.changed(windowArea)
  }

  #drawTerminal(): void {
    const { picture } = this
    picture.fill(terminalArea, colours.wall)
    const { x, y } = terminalArea
    this.#lines.forEach((line, row) => {
      picture.text(x, y + row * lineHeight, line, colours.dim)
    })
    const top = y + this.#lines.length * lineHeight
    const room = columns - this.#prompt.length - 1
    const shown = this.#input.slice(-room)
    picture.text(x, top, this.#prompt, colours.prompt)
    picture.text(x + this.#prompt.length * 12, top, shown, colours.text)
    const caret = x + (this.#prompt.length + shown.length) * 12
    picture.fill({ x: caret, y: top - 2, width: 10, height: 18 }, colours.accent)
    picture.changed(terminalArea)
  }

  #drawStatus(): void {
    const { picture } = this
    const { x, y, buttons } = this.#pointer
    picture.fill(statusArea, colours.bar)
    picture.fill({ ...statusArea, height: 1 }, colours.edge)
    picture.text(16, statusArea.y + 9, `pointer ${x},${y}`, colours.dim)
    colours.paint.forEach((colour, button) => {
      const box = { x: 224 + button * 22, y: statusArea.y + 9, width: 14, height: 14 }
      picture.fill(box, buttons & (1 << button) ? colour : colours.edge)
    })
    const shift = this.#held.has(keysym.shiftLeft) || this.#held.has(keysym.shiftRight)
    picture.text(320, statusArea.y + 9, 'shift', shift ? colours.accent : colours.edge)
    const viewers = this.#viewers === 1 ? '1 viewer' : `${this.#viewers} viewers`
    picture.text(desktopWidth - 16 - viewers.length * 12, statusArea.y + 9, viewers, colours.dim)
    picture.changed(statusArea)
  }
}

const modifiers = new Set<number>([keysym.shiftLeft, keysym.shiftRight, keysym.controlLeft, keysym.controlRight])

function secondOf(time: Date): number {
  return Math.floor(time.getTime() / 1000)
}

function clockText(time: Date): string {
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
}

function shortened(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 2)}..`
}
