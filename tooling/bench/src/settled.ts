/** Waits for a process to come to rest. */
import { setTimeout as delay } from 'node:timers/promises'

const DEADLINE_MS = 30_000
/** Of the value: less is noise. */
const TOLERANCE = 0.002
/** Readings in a row that must agree. */
const AGREEING = 4

/** What `read` gives once it no longer changes, asked every `intervalMs`; after half a minute, whatever it gives then. */
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
