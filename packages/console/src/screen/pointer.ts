/** The pointer of a screen: a mouse with buttons and a wheel. */
import type { Image } from './image.ts'

/** RFC 6143 section 7.5.5. A step of the wheel is a press of its button. */
const buttons = { left: 1, middle: 2, right: 4 } as const
const wheel = { up: 8, down: 16, left: 32, right: 64 } as const

export type Button = keyof typeof buttons
export type Direction = keyof typeof wheel

export interface ClickOptions {
  /** Default: left. */
  readonly button?: Button
  /** 2 for a double click. Default: 1. */
  readonly count?: number
}

export interface Point {
  readonly x: number
  readonly y: number
}

type SendPointer = (buttons: number, x: number, y: number) => void

export class Pointer {
  readonly #screen: Image
  readonly #send: SendPointer
  #at: Point = { x: 0, y: 0 }

  constructor(screen: Image, send: SendPointer) {
    this.#screen = screen
    this.#send = send
  }

  move(x: number, y: number): void {
    this.#to(0, { x, y })
  }

  click(x: number, y: number, { button = 'left', count = 1 }: ClickOptions = {}): void {
    const mask = maskOf('button', buttons, button)
    this.move(x, y)
    for (let i = 0; i < count; i += 1) this.#press(mask)
  }

  /** Presses at `from` and releases at `to`, with a step between them, as programs expect it of a drag. */
  drag(from: Point, to: Point, { button = 'left' }: Pick<ClickOptions, 'button'> = {}): void {
    const halfway = { x: Math.round((from.x + to.x) / 2), y: Math.round((from.y + to.y) / 2) }
    const mask = maskOf('button', buttons, button)
    this.#check(to)
    this.#to(0, from)
    for (const at of [from, halfway, to]) this.#to(mask, at)
    this.#to(0, to)
  }

  /** @param steps of the wheel */
  scroll(direction: Direction, steps: number): void {
    const mask = maskOf('direction', wheel, direction)
    for (let i = 0; i < steps; i += 1) this.#press(mask)
  }

  #press(mask: number): void {
    this.#to(mask, this.#at)
    this.#to(0, this.#at)
  }

  #to(mask: number, at: Point): void {
    this.#check(at)
    this.#at = at
    this.#send(mask, at.x, at.y)
  }

  #check({ x, y }: Point): void {
    const { width, height } = this.#screen
    if (!Number.isInteger(x) || !Number.isInteger(y)) throw new RangeError(`The point ${x}, ${y} is not a whole pixel`)
    const isInside = x >= 0 && y >= 0 && x < width && y < height
    if (!isInside) throw new RangeError(`The point ${x}, ${y} is not on the screen of ${width}x${height} pixels`)
  }
}

function maskOf<Name extends string>(kind: string, masks: Readonly<Record<Name, number>>, name: Name): number {
  if (Object.hasOwn(masks, name)) return masks[name]
  throw new TypeError(`There is no ${kind} ${JSON.stringify(name)}. There are ${Object.keys(masks).join(', ')}.`)
}
