/** Remembers the keys and buttons that a client has pressed and not released. */

/** More than a keyboard has fingers on it. Further keys are not remembered, so that a client cannot fill the memory. */
const MAX_KEYS = 32

interface Pressing {
  readonly bytes: number
  /** Where the state of the key or of the buttons is. Zero means released. */
  readonly stateAt: number
  readonly stateBytes: number
}

const keyEvent: Pressing = { bytes: 8, stateAt: 1, stateBytes: 1 }
const pointerEvent: Pressing = { bytes: 6, stateAt: 1, stateBytes: 1 }
const extendedKeyEvent: Pressing = { bytes: 12, stateAt: 2, stateBytes: 2 }

export class PressedInput {
  /** The message that releases each key. Keysyms are positive, QEMU's key codes negative. */
  #keys: Map<number, Buffer> | undefined
  #buttons: Buffer | undefined

  get isEmpty(): boolean {
    return this.#keys === undefined && this.#buttons === undefined
  }

  /** Reads a complete KeyEvent, PointerEvent or message of QEMU. */
  read(message: Buffer): void {
    const [type, subType] = message
    if (type === 4) this.#readKey(message.readUInt32BE(4), keyEvent, message)
    else if (type === 5) this.#buttons = isPressed(pointerEvent, message) ? released(pointerEvent, message) : undefined
    else if (subType === 0) this.#readKey(-message.readUInt32BE(8), extendedKeyEvent, message)
  }

  #readKey(key: number, pressing: Pressing, message: Buffer): void {
    if (isPressed(pressing, message)) this.#press(key, released(pressing, message))
    else this.#release(key)
  }

  #press(key: number, release: Buffer): void {
    this.#keys ??= new Map()
    if (this.#keys.size < MAX_KEYS) this.#keys.set(key, release)
  }

  #release(key: number): void {
    this.#keys?.delete(key)
    if (this.#keys?.size === 0) this.#keys = undefined
  }

  /** Returns the messages that release everything, and forgets it. */
  takeReleases(): Buffer {
    const releases = [...(this.#keys?.values() ?? []), ...(this.#buttons ? [this.#buttons] : [])]
    this.#keys = undefined
    this.#buttons = undefined
    return Buffer.concat(releases)
  }
}

const isPressed = ({ stateAt, stateBytes }: Pressing, message: Buffer) => message.readUIntBE(stateAt, stateBytes) !== 0

/** Returns a copy of `message` that releases what it presses. */
function released({ bytes, stateAt, stateBytes }: Pressing, message: Buffer): Buffer {
  const copy = Buffer.from(message.subarray(0, bytes))
  copy.fill(0, stateAt, stateAt + stateBytes)
  return copy
}
