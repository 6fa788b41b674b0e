/** Logs which pages were refused for their origin: each origin once, with the line of configuration that allows it. */
import type { Logger } from '@oriel/runtime'

export interface RefusedOriginsOptions {
  readonly log: Logger
  /** The entries of `origin.allowed`, which the suggested line repeats. */
  readonly allowed: readonly string[]
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: () => number
}

/** An Origin header costs its sender nothing, so the warnings of one hour are bounded, and so is what is remembered. */
const MAX_ORIGINS = 100
const HOUR_MS = 3_600_000

const messages = {
  console: 'a page was refused a console: origin.allowed does not list its origin; if the page is yours, add this line',
  frame:
    'a page may not show consoles in frames: origin.allowed does not list its origin; if the page is yours, add this line',
  link: 'a page leads to a console page; should it show consoles in frames, add this line',
} as const

export class RefusedOrigins {
  readonly #log: Logger
  readonly #allowed: readonly string[]
  readonly #now: () => number
  readonly #seen = new Set<string>()
  #sinceMs: number

  constructor({ log, allowed, now = () => performance.now() }: RefusedOriginsOptions) {
    this.#log = log
    this.#allowed = allowed
    this.#now = now
    this.#sinceMs = now()
  }

  /**
   * Logs an origin, unless it was logged within the hour: a warning if its page was refused what it wanted.
   * @param origin as `origin.allowed` lists it, such as `https://portal.example`
   * @param wanted what the page wanted: to open a console, to show one in a frame, or perhaps just to link to one
   */
  report(origin: string, wanted: keyof typeof messages): void {
    if (this.#now() - this.#sinceMs >= HOUR_MS) {
      this.#seen.clear()
      this.#sinceMs = this.#now()
    }
    if (this.#seen.has(origin) || this.#seen.size >= MAX_ORIGINS) return
    this.#seen.add(origin)
    const level = wanted === 'link' ? 'info' : 'warn'
    this.#log[level]({ origin, line: allowedLine([...this.#allowed, origin]) }, messages[wanted])
  }
}

/** The line of TOML that allows these origins. */
export const allowedLine = (origins: readonly string[]) =>
  `origin.allowed = [${origins.map((origin) => JSON.stringify(origin)).join(', ')}]`
