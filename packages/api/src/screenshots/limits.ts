/** Limits of new screenshots: at once, waiting, and for each project in a minute. */
import { HttpFault } from '../http/faults.ts'

/** Each may need memory for the largest screen. */
const MAX_AT_ONCE = 2
const MAX_WAITING = 32
/** How long a request waits for its slot. Clients that have left do not take one later. */
const WAIT_MS = 10_000
const MINUTE_MS = 60_000

export class ScreenshotLimits {
  readonly #perMinute: number
  readonly #budgets = new Map<string, Budget>()
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(perMinute: number) {
    this.#perMinute = perMinute
  }

  /**
   * Runs `take` once there is a slot.
   * @throws HttpFault 429 if the project has used its budget up, 503 if too many requests wait, or this one for too long
   */
  async run<T>(projectId: string, take: () => Promise<T>): Promise<T> {
    if (this.#running >= MAX_AT_ONCE && this.#waiting.length >= MAX_WAITING) throw busy()
    this.#spend(projectId)
    if (this.#running >= MAX_AT_ONCE) await this.#wait()
    else this.#running += 1
    try {
      return await take()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running -= 1
    }
  }

  /** Resolves once another request has left its slot to this one. */
  #wait(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const giveUp = () => {
      this.#waiting.splice(this.#waiting.indexOf(start), 1)
      reject(busy())
    }
    const timer = setTimeout(giveUp, WAIT_MS)
    const start = () => {
      clearTimeout(timer)
      resolve()
    }
    this.#waiting.push(start)
    return promise
  }

  /** A budget refills evenly, up to the number of a minute. */
  #spend(projectId: string, now = performance.now()): void {
    const { left: before, at } = this.#budgets.get(projectId) ?? { left: this.#perMinute, at: now }
    const left = Math.min(this.#perMinute, before + ((now - at) / MINUTE_MS) * this.#perMinute)
    if (left < 1) throw tooMany(Math.ceil((((1 - left) / this.#perMinute) * MINUTE_MS) / 1000))
    this.#budgets.set(projectId, { left: left - 1, at: now })
  }
}

interface Budget {
  readonly left: number
  /** When `left` was right, on the monotonic clock. */
  readonly at: number
}

const tooMany = (seconds: number) =>
  new HttpFault(429, `This project has asked for too many screenshots. Try again in ${seconds} s.`, {
    headers: { 'Retry-After': String(seconds) },
  })
const busy = () =>
  new HttpFault(503, 'The API is taking too many screenshots. Try again in a moment.', {
    headers: { 'Retry-After': '2' },
  })
