/** Types at a machine: what is planned, at the pace that the machine takes it. */
import { ConnectionError } from '@oriel/sdk'
import { planKeys } from '../keyboard/keys.ts'
import { type NumLockLight, type PacedKeyboard, type PaceOptions, paced } from '../keyboard/pace.ts'
import type { KeyStroke } from '../keyboard/stroke.ts'
import { planTypedCharacters, type TypingLayouts } from '../keyboard/type-plan.ts'
import type { Leds, RfbClient } from '../rfb/client.ts'
import type { Life } from './life.ts'

const REOPENED = 'The console was opened again while keys were sent. They are incomplete.'

export interface TypeOptions extends TypingLayouts, PaceOptions {
  /** Called after each few characters, so that after a failure the caller knows how many have arrived. */
  readonly onTyped?: (typed: Typed) => void
}

/** How far a text has been typed, in characters. */
export interface Typed {
  /** The characters that were sent. */
  readonly sent: number
  /** The characters that the guest has taken. Without the lights of a keyboard: those that it has had time to take. */
  readonly taken: number
  readonly total: number
}

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
    const { strokes, ends } = await planTypedCharacters(text, options)
    const counted = (keyboard: PacedKeyboard) =>
      options.onTyped ? countingKeyboard(keyboard, ends, options.onTyped) : keyboard
    await this.#inTurn(() => paced(strokes, counted(this.#byLight()), options))
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

/** Counts the characters that are sent. Strokes are sent only when the guest has taken those before. */
function countingKeyboard(keyboard: PacedKeyboard, ends: ReadonlySet<KeyStroke>, onTyped: (typed: Typed) => void) {
  let sent = 0
  return {
    ...keyboard,
    send(strokes: readonly KeyStroke[]) {
      keyboard.send(strokes)
      const taken = sent
      sent += strokes.filter((stroke) => ends.has(stroke)).length
      onTyped({ sent, taken, total: ends.size })
    },
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
