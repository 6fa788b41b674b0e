/**
 * Sends keys no faster than a guest takes them.
 *
 * A VNC server acknowledges no key. QEMU passes one change of a key each 10 ms (`key-delay-ms`) from a queue of 1024
 * entries, three for each change, to a virtual keyboard with a queue of 16 codes, and drops what either cannot hold. But
 * the guest answers one key: at Num Lock it sets the keyboard's lights, and QEMU reports them. Lights that change prove
 * that the guest has taken every key before. So each window of codes ends with Num Lock, and the next one waits for the
 * lights: nothing is lost, however slow the guest is. At the end Num Lock is as it was. A guest that changed the lights and
 * stops doing so has stalled, and typing fails: to go on would be to lose keys.
 *
 * Without lights (another server, a guest that does not set them) the only rule is time: QEMU's own pace, and a pause after
 * Enter, while a shell or a boot loader runs a command. That cannot know of a guest that stalls.
 */
import { GuestStalled } from '../errors.ts'
import { keyNamed } from './key-names.ts'
import type { KeyStroke } from './stroke.ts'
import { pressTogether } from './text.ts'
import { windowsOf } from './windows.ts'

/** Without lights: for each change of a key. A little more than QEMU takes. */
export const CHANGE_MS = 12
/** Without lights: after Enter, on top. */
export const ENTER_MS = 120
/** How long the guest may take to change the lights for the first time, and again, before they count as absent. */
export const FIRST_LIGHTS_MS = 2_000
/** How long it may take afterwards, until typing fails. */
export const LIGHTS_MS = 30_000
/** How long it may take after the last key, which may have been the one that shuts it down. */
export const LAST_LIGHTS_MS = 5_000

/** The keyboard of one guest. */
export interface PacedKeyboard {
  send(strokes: readonly KeyStroke[]): void
  pause(ms: number): Promise<void>
  /** Absent for a server that does not report the lights. */
  readonly numLock?: NumLockLight
}

/** The light of Num Lock. */
export interface NumLockLight {
  readonly isOn: boolean
  /** How often it has changed. */
  readonly changes: number
  /** Resolves with whether it has changed that often, at the latest after `timeoutMs`. Typing stops when it rejects. */
  hasChanged(times: number, timeoutMs: number): Promise<boolean>
}

export interface PaceOptions {
  /** Stops before the next window. */
  readonly signal?: AbortSignal
  /** Called after each window. */
  readonly onProgress?: (sent: number, total: number) => void
}

const numLockStrokes = pressTogether([keyNamed('NumLock')!])
const ENTER = keyNamed('Enter')!.scancode

/**
 * Sends the strokes. Resolves when the guest has taken them, or, without lights, when it has had the time to. Strokes that
 * fit into the keyboard's queue are sent without Num Lock.
 * @throws GuestStalled, or the reason of the signal. All keys are up then.
 */
export async function paced(
  strokes: readonly KeyStroke[],
  keyboard: PacedKeyboard,
  { signal, onProgress }: PaceOptions = {},
): Promise<void> {
  const windows = windowsOf(strokes, numLockStrokes.length)
  const { numLock } = keyboard
  const sender = numLock && windows.length > 1 ? new AcknowledgedSender(keyboard, numLock) : new TimedSender(keyboard)
  try {
    for (const [i, window] of windows.entries()) {
      signal?.throwIfAborted()
      await sender.send(window, i === windows.length - 1)
      onProgress?.(i + 1, windows.length)
    }
  } finally {
    await sender.finish()
  }
}

class TimedSender {
  readonly #keyboard: PacedKeyboard

  constructor(keyboard: PacedKeyboard) {
    this.#keyboard = keyboard
  }

  async send(strokes: readonly KeyStroke[]): Promise<void> {
    this.#keyboard.send(strokes)
    const enters = strokes.filter(({ scancode, down }) => scancode === ENTER && down).length
    await this.#keyboard.pause(strokes.length * CHANGE_MS + enters * ENTER_MS)
  }

  async finish(): Promise<void> {}
}

/** Sends by the lights, unless they fail to change at the first two attempts. */
class AcknowledgedSender {
  readonly #keyboard: PacedKeyboard
  readonly #light: NumLockLight
  readonly #timed: TimedSender
  readonly #changesBefore: number
  /** How often Num Lock was pressed. */
  #presses = 0
  #hasAnswered = false
  #isAbsent = false

  constructor(keyboard: PacedKeyboard, light: NumLockLight) {
    this.#keyboard = keyboard
    this.#light = light
    this.#timed = new TimedSender(keyboard)
    this.#changesBefore = light.changes
  }

  async send(strokes: readonly KeyStroke[], isLast: boolean): Promise<void> {
    if (this.#isAbsent) return this.#timed.send(strokes)
    if (!this.#hasAnswered) return this.#sendFirst(strokes)
    const isTaken = await this.#isTaken(strokes, isLast ? LAST_LIGHTS_MS : LIGHTS_MS)
    if (!isTaken && !isLast)
      throw new GuestStalled(`The guest has taken no key for ${LIGHTS_MS} ms. The text is incomplete.`)
  }

  /** Puts Num Lock back. Counts presses, because the light may still show that the guest has not taken the last. */
  async finish(): Promise<void> {
    if (this.#presses % 2 === 1) await this.#isTaken([], LAST_LIGHTS_MS)
  }

  async #sendFirst(strokes: readonly KeyStroke[]): Promise<void> {
    this.#hasAnswered =
      (await this.#isTaken(strokes, FIRST_LIGHTS_MS)) ||
      // The second press is for a guest without lights: it leaves Num Lock as it was.
      (await this.#isTaken([], FIRST_LIGHTS_MS))
    this.#isAbsent = !this.#hasAnswered
  }

  async #isTaken(strokes: readonly KeyStroke[], timeoutMs: number): Promise<boolean> {
    this.#presses += 1
    this.#keyboard.send([...strokes, ...numLockStrokes])
    return this.#light.hasChanged(this.#changesBefore + this.#presses, timeoutMs)
  }
}
