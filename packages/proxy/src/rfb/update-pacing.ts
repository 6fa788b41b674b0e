/**
 * Decides when to request the next update for a client at a distance: as soon as the last one has left the slowest link of the
 * way, without waiting until the client has it. So what is in flight is what one round trip carries, and nothing queues.
 *
 * A fence behind each update measures that: the client returns it once it has processed the update. The way has a delay,
 * the least that a fence ever took, and a time for each byte, by which fences behind updates took longer. A client that
 * processes slowly is a slow link as well.
 */

/** For how long a measured delay counts, and then as long again: the way may become longer. */
const DELAY_COUNTS_MS = 10_000
/** After so long without a measurement of the delay alone, an update is preceded by a fence. */
const PROBE_AFTER_MS = 2_000
/** The weight of what was measured before, at each new measurement. */
const MEMORY = 0.75
/** An update that is larger than any lately by more than this factor is awaited: nothing says how long it takes. */
const TRUSTED_GROWTH = 2
const LEAST_TRUSTED_BYTES = 16 * 1024
/** How much later than expected a fence may return. A later one means that the client lags. */
const LAG_MS = 100
/** How many updates may follow each other at once, before the maximum rate applies. */
const BURST = 4

interface Fence {
  readonly id: number
  /** The bytes since the fence before. */
  readonly bytes: number
  /** When the first of them was sent. */
  readonly startedMs: number
  readonly sentMs: number
  /** When the last of them leaves the slowest link, as estimated. */
  leavesMs: number
}

/** All times are in milliseconds on one monotonic clock. */
export class UpdatePacing {
  readonly #spacingMs: number
  readonly #delay = new LeastDelay()
  /** The fences that the client has not returned, the oldest first. */
  readonly #fences: Fence[] = []
  #nextId = 1
  /** What was measured: the time that bytes took, later measurements counting more. */
  #measured = { bytes: 0, ms: 0 }
  #trustedBytes = LEAST_TRUSTED_BYTES
  /** When all that was sent has left the slowest link, as estimated. */
  #leftMs = 0
  /** When the bytes before the last returned fence had left it. */
  #returnedLeftMs = 0
  /** When the next request would be due at the maximum rate. */
  #dueMs = 0

  constructor(maxPerSecond: number) {
    this.#spacingMs = 1000 / maxPerSecond
  }

  /** The number of fences that the client has not returned. */
  get unreturned(): number {
    return this.#fences.length
  }

  /** Records that a fence is sent, behind `bytes` bytes of which the first was sent at `startedMs`. Returns its id. */
  fence(bytes: number, startedMs: number, nowMs: number): number {
    const id = this.#nextId
    this.#nextId = (id + 1) >>> 0
    const fence = { id, bytes, startedMs, sentMs: nowMs, leavesMs: 0 }
    this.#fences.push(fence)
    this.#expect(fence)
    return id
  }

  /** Records that the client has returned a fence, and with it all earlier ones. Ignores unknown ids. */
  returned(id: number, nowMs: number): void {
    const index = this.#fences.findIndex((fence) => fence.id === id)
    if (index < 0) return
    const passed = this.#fences.splice(0, index + 1)
    const last = passed.at(-1)!
    this.#delay.measure(nowMs - last.sentMs, nowMs)
    if (last.bytes === 0) this.#delay.measuredMs = nowMs
    const leftMs = nowMs - this.#delay.leastMs
    this.#learn(sum(passed), leftMs - Math.max(passed[0]!.startedMs, this.#returnedLeftMs))
    this.#returnedLeftMs = leftMs
    this.#leftMs = leftMs
    for (const fence of this.#fences) this.#expect(fence)
  }

  /** Records that an update was requested. */
  requested(nowMs: number): void {
    this.#dueMs = Math.max(this.#dueMs, nowMs) + this.#spacingMs
  }

  /** Returns how long to wait with the next request. `Infinity`: until the client returns a fence. */
  waitMs(nowMs: number): number {
    const [oldest] = this.#fences
    if (oldest && this.#mustAwait(oldest, nowMs)) return Number.POSITIVE_INFINITY
    // The link has to be empty for a measurement of the delay, without which the estimates would drift.
    const earlyMs = this.#isProbeDue(nowMs) ? 0 : this.#delay.leastMs / 2
    const readyMs = oldest ? this.#leftMs - earlyMs : 0
    return Math.max(0, readyMs - nowMs, this.#dueMs - BURST * this.#spacingMs - nowMs)
  }

  /** Whether an update that begins now should be preceded by a fence, which measures the delay alone. */
  wantsProbe(nowMs: number): boolean {
    return this.#leftMs <= nowMs && this.#isProbeDue(nowMs)
  }

  #isProbeDue(nowMs: number): boolean {
    return nowMs - this.#delay.measuredMs > PROBE_AFTER_MS
  }

  #mustAwait(oldest: Fence, nowMs: number): boolean {
    if (!this.#delay.isKnown || this.#fences.some(({ bytes }) => bytes > this.#trustedBytes)) return true
    return nowMs > oldest.leavesMs + this.#delay.leastMs + LAG_MS
  }

  #expect(fence: Fence): void {
    const { bytes, ms } = this.#measured
    const tookMs = bytes > 0 ? (fence.bytes * ms) / bytes : 0
    this.#leftMs = Math.max(Math.max(this.#leftMs, fence.startedMs) + tookMs, fence.sentMs)
    fence.leavesMs = this.#leftMs
  }

  #learn(bytes: number, tookMs: number): void {
    if (bytes === 0) return
    this.#measured.bytes = this.#measured.bytes * MEMORY + bytes
    this.#measured.ms = this.#measured.ms * MEMORY + Math.max(0, tookMs)
    this.#trustedBytes = Math.max(this.#trustedBytes * MEMORY, bytes * TRUSTED_GROWTH, LEAST_TRUSTED_BYTES)
  }
}

const sum = (fences: readonly Fence[]) => fences.reduce((total, { bytes }) => total + bytes, 0)

/** The least delay of the last 10 to 20 seconds. */
class LeastDelay {
  /** When the delay was last measured without anything before it. */
  measuredMs = Number.NEGATIVE_INFINITY
  #sinceMs = 0
  #earlierMs = Number.POSITIVE_INFINITY
  #recentMs = Number.POSITIVE_INFINITY

  get isKnown(): boolean {
    return this.leastMs < Number.POSITIVE_INFINITY
  }

  get leastMs(): number {
    return Math.min(this.#earlierMs, this.#recentMs)
  }

  measure(tookMs: number, nowMs: number): void {
    if (nowMs - this.#sinceMs > DELAY_COUNTS_MS) this.#rotate(nowMs)
    if (tookMs <= this.leastMs) this.measuredMs = nowMs
    this.#recentMs = Math.min(this.#recentMs, tookMs)
  }

  #rotate(nowMs: number): void {
    this.#earlierMs = this.#recentMs
    this.#recentMs = Number.POSITIVE_INFINITY
    this.#sinceMs = nowMs
  }
}
