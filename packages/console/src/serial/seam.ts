/**
 * Joins the outputs of successive connections to one serial port. Oriel's proxy begins a connection with the last output of the
 * port, most of which the connection before has received. The seam removes this repetition if it is certain:
 *
 * - The beginning of the new output is compared with the end of the earlier output. Exactly one fit of {@link MIN_FIT_BYTES} or
 *   more is the overlap, and is left out. Shorter ones may be coincidence: prompts and line ends repeat.
 * - Without any fit, all new output is passed on after {@link MISSING}. The proxy did not repeat anything, so output
 *   between the connections, if any, is lost.
 * - In all other cases it is passed on after {@link UNCLEAR}: the output repeats itself, or the fit is short.
 */
import { overlapOf } from './overlap.ts'
import { Tail } from './tail.ts'

/** More than Oriel's proxy repeats by default. */
const KEPT_BYTES = 262_144
/** Longer than the banner and the prompt of a login, which a machine prints again and again. */
export const MIN_FIT_BYTES = 256
/** For how long output is held back that may be a repetition in whole. A proxy sends a repetition without pauses. */
const DECIDE_WITHIN_MS = 1000

const line = (text: string) => new TextEncoder().encode(`\r\n[oriel: ${text}]\r\n`)
export const MISSING = line('the console was opened again; output may be missing here')
export const UNCLEAR = line('the console was opened again; output may be missing or repeated here')

export class Seam {
  readonly #pass: (bytes: Uint8Array) => void
  readonly #earlier = new Tail(KEPT_BYTES)
  /** The output of a new connection, until its overlap is known. */
  #later: Uint8Array | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  /** @param pass receives the joined output */
  constructor(pass: (bytes: Uint8Array) => void) {
    this.#pass = pass
  }

  /** Begins the output of another connection. */
  begin(): void {
    this.finish()
    this.#later = new Uint8Array()
  }

  /** Takes output of the present connection. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.#later === undefined) this.#passOn(bytes)
    else this.#compare(joined(this.#later, bytes))
  }

  /** Passes on the output that is held back, if there is some. */
  finish(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const later = this.#later
    this.#later = undefined
    if (later !== undefined && later.length > 0) this.#mark(UNCLEAR, later)
  }

  #compare(later: Uint8Array): void {
    this.#later = later
    const { fits, isOpen } = overlapOf(this.#earlier.bytes, later)
    if (isOpen) this.#timer ??= setTimeout(() => this.finish(), DECIDE_WITHIN_MS)
    else this.#decide(fits, later)
  }

  #decide(fits: readonly number[], later: Uint8Array): void {
    this.#later = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
    const long = fits.filter((fit) => fit >= MIN_FIT_BYTES)
    if (long.length === 1) this.#passOn(later.subarray(long[0]))
    else this.#mark(fits.length === 0 ? MISSING : UNCLEAR, later)
  }

  #mark(mark: Uint8Array, later: Uint8Array): void {
    this.#pass(mark)
    this.#passOn(later)
  }

  #passOn(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#earlier.push(bytes)
    this.#pass(bytes)
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length)
  both.set(one)
  both.set(other, one.length)
  return both
}
