/** Types at a machine: what is planned, at the pace that the machine takes it. */
import { ConnectionError } from '@oriel/sdk'
import { planKeys } from '../keyboard/keys.ts'
import { type NumLockLight, type PacedKeyboard, type PaceOptions, paced } from '../keyboard/pace.ts'
import type { KeyStroke } from '../keyboard/stroke.ts'
import { planTyping, type TypingLayouts } from '../keyboard/type-plan.ts'
import type { Leds, RfbClient } from '../rfb/client.ts'
import type { Life } from './life.ts'

const REOPENED = 'The console was opened again while keys were sent. They are incomplete.'

export interface TypeOptions extends TypingLayouts, PaceOptions {}

/** What typing needs of a connection. */
export interface KeyConnection {
  /** Returns the lights, `undefined` before the server has reported them. */
  leds(): Leds | undefined
  /** Returns the open connection. @throws the error with which the screen ended, or if it is being opened again */
  open(): Pick<RfbClient, 'sendKey'>
}

export class Keyboard {
  readonly #light: ScreenLight
  readonly #connection: KeyConnection
  /** Two texts at once would mix. */
  #turn: Promise<void> = Promise.resolve()

  constructor(life: Life, connection: KeyConnection) {
    this.#light = new ScreenLight(life, () => connection.leds())
    this.#connection = connection
  }

  async type(text: string, options: TypeOptions = {}): Promise<void> {
    const strokes = await planTyping(text, options)
    await this.#inTurn(() => paced(strokes, this.#byLight(), options))
  }

  /** Paces by time alone: a menu or a game may not expect Num Lock. */
  async press(keys: readonly string[]): Promise<void> {
    const strokes = planKeys(keys)
    await this.#inTurn(() => paced(strokes, this.#byTime()))
  }

  async #inTurn(send: () => Promise<void>): Promise<void> {
    const sent = this.#turn.then(send)
    this.#turn = sent.catch(() => {})
    await sent
  }

  #byTime(): PacedKeyboard {
    const connection = this.#connection.open()
    const send = (strokes: readonly KeyStroke[]) => {
      // What was on its way is lost, so the rest would make another text.
      if (this.#connection.open() !== connection) throw new ConnectionError('network', REOPENED)
      for (const stroke of strokes) connection.sendKey(stroke)
    }
    return { send, pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) }
  }

  #byLight(): PacedKeyboard {
    // The first report may have come before there was a connection to ask.
    this.#light.read()
    return this.#connection.leds() ? { ...this.#byTime(), numLock: this.#light } : this.#byTime()
  }
}

/** Num Lock's light as updates of the screen report it. */
class ScreenLight implements NumLockLight {
  readonly #life: Life
  readonly #leds: () => Leds | undefined
  #isOn: boolean | undefined
  #changes = 0

  constructor(life: Life, leds: () => Leds | undefined) {
    this.#life = life
    this.#leds = leds
    life.onUpdate.add(() => this.read())
  }

  read(): void {
    const isOn = this.#leds()?.numLock
    if (isOn === undefined || isOn === this.#isOn) return
    // The first report is no change.
    if (this.#isOn !== undefined) this.#changes += 1
    this.#isOn = isOn
  }

  get isOn(): boolean {
    return this.#isOn ?? false
  }

  get changes(): number {
    return this.#changes
  }

  hasChanged(times: number, timeoutMs: number): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), timeoutMs)
    const look = () => {
      if (this.#changes >= times) resolve(true)
    }
    const removers = [this.#life.onUpdate.add(look), this.#life.onEnd.add(reject)]
    look()
    return promise.finally(() => {
      clearTimeout(timer)
      for (const remove of removers) remove()
    })
  }
}
