/**
 * Finds the keys that control the command among typed bytes. Ctrl-] leaves. After Enter, and at the start, `~` begins a
 * sequence as in ssh: `~.` leaves, `~?` asks for help, `~~` sends one `~`, and `~` Ctrl-] sends Ctrl-]. Any other character
 * is sent with the `~` before it.
 */

const [LF, CR, CTRL_RIGHT_BRACKET] = [0x0a, 0x0d, 0x1d]
const [DOT, QUESTION, TILDE] = [0x2e, 0x3f, 0x7e]

/** Some typed bytes, read. */
export interface Keystrokes {
  /** The bytes for the console. */
  readonly forward: Uint8Array
  readonly leave: boolean
  readonly help: boolean
}

/** Reads typed bytes, and remembers the beginning of a sequence from one call to the next. */
export class EscapeKeys {
  #state: 'line start' | 'tilde' | 'inside' = 'line start'

  /** Reads `bytes`. Drops those that follow a request to leave. */
  read(bytes: Uint8Array): Keystrokes {
    const forward: number[] = []
    let help = false
    for (const byte of bytes) {
      const effect = this.#take(byte, forward)
      if (effect === 'leave') return { forward: Uint8Array.from(forward), leave: true, help }
      help ||= effect === 'help'
    }
    return { forward: Uint8Array.from(forward), leave: false, help }
  }

  #take(byte: number, forward: number[]): 'leave' | 'help' | undefined {
    if (this.#state === 'tilde') return this.#afterTilde(byte, forward)
    if (byte === CTRL_RIGHT_BRACKET) return 'leave'
    if (byte === TILDE && this.#state === 'line start') this.#state = 'tilde'
    else this.#send(byte, forward)
    return undefined
  }

  #afterTilde(byte: number, forward: number[]): 'leave' | 'help' | undefined {
    this.#state = byte === QUESTION ? 'line start' : 'inside'
    if (byte === DOT) return 'leave'
    if (byte === QUESTION) return 'help'
    if (byte !== TILDE && byte !== CTRL_RIGHT_BRACKET) forward.push(TILDE)
    this.#send(byte, forward)
    return undefined
  }

  #send(byte: number, forward: number[]): void {
    forward.push(byte)
    this.#state = byte === CR || byte === LF ? 'line start' : 'inside'
  }
}
