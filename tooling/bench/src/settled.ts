/** Waits until a figure of a process is stable. */
import { setTimeout as delay } from 'node:timers/promises'

const DEADLINE_MS = 30_000
/** Differences below this share of the value are noise. */
const TOLERANCE = 0.002
/** The number of successive readings that must agree. */
const AGREEING = 4

/** Calls `read` every `intervalMs` until its value is stable, for at most half a minute, and returns the last value. */
export async function settled(read: () => number, intervalMs: number): Promise<number> {
  const deadlineMs = performance.now() + DEADLINE_MS
  let last = read()
  let agreeing = 0
  while (agreeing < AGREEING && performance.now() < deadlineMs) {
    await delay(intervalMs)
    const now = read()
    agreeing = Math.abs(now - last) <= last * TOLERANCE ? agreeing + 1 : 0
    last = now
  }
  return last
}
