/** Reads the output of serial consoles piece by piece. */
import { ExpectTimeout, type Serial } from '@oriel/console'
import { Failure } from '../failure.ts'
import { endOf } from './answer.ts'

export interface ReadOptions {
  /** What to wait for. Default: any output. */
  readonly until?: RegExp | undefined
  /** The most characters to return. */
  readonly maxChars: number
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/** Matches all output, if there is any. */
const ANY = /[\s\S]+/
const NEWLY_OPENED =
  '(The console was opened with this call. Its output may begin with what the machine printed before, and lack some.)\n'

export class SerialReader {
  /** The consoles of which something was returned. */
  readonly #known = new WeakSet<Pick<Serial, 'expect'>>()

  /**
   * Returns the output since the last call, up to the end of `until`. Without `until`, it is empty output that has a note.
   * @throws Failure with the output if `until` did not come in time; the output is then returned by the next call too
   */
  async read(serial: Pick<Serial, 'expect'>, { until = ANY, maxChars, ...wait }: ReadOptions): Promise<string> {
    try {
      const { before, text } = await serial.expect(until, wait)
      return `${this.#note(serial)}${endOf(before + text, maxChars)}`
    } catch (error) {
      if (!(error instanceof ExpectTimeout)) throw error
      if (until === ANY) return `(No output came within ${wait.timeoutMs / 1000} seconds.)`
      throw tooLate(until, wait.timeoutMs, endOf(error.output, maxChars), error)
    }
  }

  /** A console that was lost is opened again by the next call, and has a gap. */
  #note(serial: Pick<Serial, 'expect'>): string {
    if (this.#known.has(serial)) return ''
    this.#known.add(serial)
    return NEWLY_OPENED
  }
}

function tooLate(until: RegExp, timeoutMs: number, output: string, cause: Error): Failure {
  const shown = output === '' ? 'There is no output.' : `The output is:\n${output}`
  const message = `The serial console did not print ${until} within ${timeoutMs / 1000} seconds. ${shown}`
  return new Failure('timeout', message, { cause })
}
