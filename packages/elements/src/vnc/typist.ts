/** Types at a machine through noVNC, at the pace that the machine takes. */
import {
  codeOf,
  type KeyStroke,
  type PacedKeyboard,
  type PaceOptions,
  paced,
  planKeys,
  planTyping,
  UntypableError,
} from '@oriel/console'
import { t } from '../language/texts/typing.ts'
import type { KeyboardLights, Light } from './lights.ts'

/** Typing by time pauses while the WebSocket buffers more than this. */
export const maxBufferedBytes = 4_096
/** How long the machine may take to change the light of Caps Lock. */
export const capsLockTimeoutMs = 2_000

/** Receives keys: one open console. */
export interface KeySink {
  readonly bufferedBytes: number
  /** Absent: the lights of the machine's keyboard are not known. */
  readonly lights?: KeyboardLights
  /** @throws Error if the console was lost, or is under another participant's control */
  sendKey(keysym: number, code: string | null, down: boolean): void
  /** Releases the keys that the user holds down. */
  releaseKeys(): void
}

export interface TypeOptions extends PaceOptions {
  /** The keyboard layout of the machine, one of `layoutNames` of `@oriel/console`. Default: `us`. */
  readonly layout?: string
  /** Whether to leave out characters that the layout lacks, or to refuse the text. Default: `refuse`. */
  readonly untypable?: 'refuse' | 'skip'
}

export interface Typed {
  /** The characters that the layout lacks, each once. Empty unless `untypable` is `skip`. */
  readonly skipped: readonly string[]
}

export class Typist {
  readonly #keys: KeySink
  /** Two texts at once would mix. */
  #turn: Promise<void> = Promise.resolve()
  #texts = 0

  constructor(keys: KeySink) {
    this.#keys = keys
  }

  /** Whether a text is being typed. Keys of the user would mix with it. */
  get isTyping(): boolean {
    return this.#texts > 0
  }

  /** See `OrielVnc.typeText`. */
  async type(text: string, { layout = 'us', untypable = 'refuse', ...pace }: TypeOptions): Promise<Typed> {
    const planned = plan(text, layout, untypable)
    const typed = this.#inTurn(async () => this.#typePlanned((await planned).strokes, pace))
    // The plan fails at once, although the turn may come later.
    const [{ skipped }] = await Promise.all([planned, typed])
    return { skipped }
  }

  /** Presses keys, after the text that is being typed. Paces by time alone: a menu may not expect Num Lock. */
  async press(keys: readonly string[]): Promise<void> {
    const strokes = planKeys(keys)
    await this.#inTurn(() => paced(strokes, this.#keyboard()))
  }

  async #inTurn(send: () => Promise<void>): Promise<void> {
    const sent = this.#turn.then(send)
    this.#turn = sent.catch(() => undefined)
    await sent
  }

  async #typePlanned(strokes: readonly KeyStroke[], pace: PaceOptions): Promise<void> {
    this.#texts += 1
    this.#keys.releaseKeys()
    try {
      const { lights } = this.#keys
      await this.#withoutCapsLock(lights?.light('capsLock', pace.signal), () =>
        paced(strokes, this.#keyboard(pace.signal, lights?.light('numLock', pace.signal)), pace),
      )
    } finally {
      this.#texts -= 1
    }
  }

  /** Layouts are those of a keyboard whose Caps Lock is off. */
  async #withoutCapsLock(light: Light | undefined, type: () => Promise<void>): Promise<void> {
    if (!light?.isOn) return type()
    const changes = light.changes + 1
    this.#send(capsLock)
    if (!(await light.hasChanged(changes, capsLockTimeoutMs))) throw new Error(t('typing.caps-lock'))
    try {
      await type()
    } finally {
      this.#send(capsLock)
    }
  }

  #keyboard(signal?: AbortSignal, numLock?: Light): PacedKeyboard {
    return {
      send: (strokes) => this.#send(strokes),
      pause: (ms) => this.#pause(ms, signal),
      ...(numLock !== undefined && { numLock }),
    }
  }

  #send(strokes: readonly KeyStroke[]): void {
    for (const { scancode, keysym, down } of strokes) this.#keys.sendKey(keysym, codeOf(scancode) ?? null, down)
  }

  /** Pauses longer while the connection is behind: keys that wait there would arrive at once. */
  async #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    do await sleep(ms, signal)
    while (this.#keys.bufferedBytes > maxBufferedBytes)
  }
}

const capsLock = planKeys('CapsLock')

async function plan(text: string, layout: string, untypable: 'refuse' | 'skip') {
  try {
    return { strokes: await planTyping(text, { layout }), skipped: [] }
  } catch (error) {
    if (untypable === 'refuse' || !(error instanceof UntypableError)) throw error
    const skipped = error.characters.map(({ character }) => character)
    const rest = [...text.normalize('NFC')].filter((character) => !skipped.includes(character)).join('')
    return { strokes: await planTyping(rest, { layout }), skipped }
  }
}

/** @throws the signal's reason when it is aborted */
async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  const stop = () => reject(signal?.reason)
  signal?.addEventListener('abort', stop, { once: true })
  await promise.finally(() => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  })
}
