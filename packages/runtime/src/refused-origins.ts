/** Logs refused origins: each one once an hour, with the line of configuration that allows it. */
import type { Logger } from './log.ts'

export interface RefusedOriginsOptions {
  readonly log: Logger
  /** The key that lists allowed origins, such as `origin.allowed`. */
  readonly key: string
  /** The entries of `key`, which the suggested line repeats. */
  readonly allowed: readonly string[]
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: () => number
}

/** Bounds the lines of one hour and the memory of them, since a client can send any Origin header. */
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
   * Logs `message` with the origin and the line that allows it, unless it logged this origin at this level within the hour.
   * @param origin in the form of the key's entries, such as `https://portal.example`
   * @param level `info` if the page may work all the same. Default: `warn`
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

/** Returns the line of TOML that sets `key` to these origins. */
export const allowingLine = (key: string, origins: readonly string[]) =>
  `${key} = [${origins.map((origin) => JSON.stringify(origin)).join(', ')}]`
