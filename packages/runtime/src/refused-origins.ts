/** Logs which pages were refused for their origin: each origin once, with the line of configuration that allows it. */
import type { Logger } from './log.ts'

export interface RefusedOriginsOptions {
  readonly log: Logger
  /** The key that lists allowed origins, such as `origin.allowed`. */
  readonly key: string
  /** Its entries, which the suggested line repeats. */
  readonly allowed: readonly string[]
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: () => number
}

/** Anyone can send any Origin header, so both the lines of one hour and the memory of them are bounded. */
const MAX_LINES = 100
const HOUR_MS = 3_600_000

export class RefusedOrigins {
  readonly #options: Required<RefusedOriginsOptions>
  readonly #logged = new Set<string>()
  #sinceMs: number

  constructor(options: RefusedOriginsOptions) {
    this.#options = { now: () => performance.now(), ...options }
    this.#sinceMs = this.#options.now()
  }

  /**
   * Logs `message` with the origin and the line that allows it, unless that origin had a line of this level within the hour.
   * @param origin as the key lists it, such as `https://portal.example`
   * @param level `info` if the page may have got all that it wanted. Default: `warn`
   */
  report(origin: string, message: string, level: 'warn' | 'info' = 'warn'): void {
    const { log, key, allowed, now } = this.#options
    if (now() - this.#sinceMs >= HOUR_MS) {
      this.#logged.clear()
      this.#sinceMs = now()
    }
    const entry = `${level} ${origin}`
    if (this.#logged.has(entry) || this.#logged.size >= MAX_LINES) return
    this.#logged.add(entry)
    log[level]({ origin, line: allowingLine(key, [...allowed, origin]) }, message)
  }
}

/** The line of TOML that lists these origins under `key`. */
export const allowingLine = (key: string, origins: readonly string[]) =>
  `${key} = [${origins.map((origin) => JSON.stringify(origin)).join(', ')}]`
