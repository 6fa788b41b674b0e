/**
 * The keyboard of a SPICE console: sends the scancode of the key that was pressed, so that the guest's own layout decides
 * which character it is. spice-html5 derives scancodes from `keyCode`, which names the characters of a US keyboard.
 */
import { hasScancode } from './scancodes.ts'

/** The properties of a `KeyboardEvent` that the keyboard reads. */
export interface KeyPress {
  readonly code: string
  readonly key: string
  readonly timeStamp: number
}

/** The longest time between the two events of AltGr on Windows. */
const altGrMs = 50

/** On these, `MetaLeft` hides the release of other keys, and Caps Lock has no event for its release. */
const isApple = (platform: string) => /^(Mac|iP)/.test(platform)

export class SpiceKeyboard {
  readonly #send: (code: string, down: boolean) => void
  readonly #apple: boolean
  readonly #windows: boolean
  readonly #held = new Set<string>()
  /** When the left Control key was pressed last. */
  #controlAt = Number.NEGATIVE_INFINITY

  /**
   * @param send sends one change of one key
   * @param platform `navigator.platform`
   */
  constructor(send: (code: string, down: boolean) => void, platform: string) {
    this.#send = send
    this.#apple = isApple(platform)
    this.#windows = platform.startsWith('Win')
  }

  /** Presses the key of the event. Returns whether it has a scancode. */
  press(event: KeyPress): boolean {
    const code = codeOfEvent(event)
    if (code === undefined) return false
    if (code === 'ControlLeft') this.#controlAt = event.timeStamp
    if (code === 'AltRight') this.#undoWindowsControl(event.timeStamp)
    this.#change(code, true)
    if (this.#apple && (code === 'CapsLock' || this.#isInCommandChord(code))) this.#change(code, false)
    return true
  }

  /** Releases the key of the event. Returns whether it has a scancode. */
  release(event: KeyPress): boolean {
    const code = codeOfEvent(event)
    if (code === undefined) return false
    if (this.#apple && code === 'CapsLock') this.#change(code, true)
    if (this.#held.has(code)) this.#change(code, false)
    return true
  }

  /** Presses the keys in this order and releases them in reverse order. */
  chord(codes: readonly string[]): void {
    for (const code of codes) this.#change(code, true)
    for (const code of codes.toReversed()) this.#change(code, false)
  }

  /** Releases every key that is held: their own events do not arrive once the console has lost the focus. */
  releaseAll(): void {
    for (const code of this.#held) this.#change(code, false)
  }

  #change(code: string, down: boolean): void {
    if (down) this.#held.add(code)
    else this.#held.delete(code)
    this.#send(code, down)
  }

  // Windows reports AltGr as the left Control key and the right Alt key at once.
  #undoWindowsControl(now: number): void {
    const isAltGr = this.#windows && this.#held.has('ControlLeft') && now - this.#controlAt < altGrMs
    if (isAltGr) this.#change('ControlLeft', false)
  }

  #isInCommandChord(code: string): boolean {
    const isMeta = code === 'MetaLeft' || code === 'MetaRight'
    return !isMeta && (this.#held.has('MetaLeft') || this.#held.has('MetaRight'))
  }
}

/** Soft keyboards leave `code` empty; the name of a key such as `Enter` then says which key it is. */
const codeOfEvent = ({ code, key }: KeyPress): string | undefined => [code, key].find(hasScancode)
