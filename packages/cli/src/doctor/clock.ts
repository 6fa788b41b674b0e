/** Compares clocks by the Date headers of answers. */
import type { Passed } from './examination.ts'
import { NotApplicable, Problem, type Side } from './problem.ts'

/** Tokens and certificates are valid for minutes at least. */
const MAX_SKEW_MS = 30_000
/** The Date header has whole seconds, and the answer takes time. */
const IN_STEP_MS = 2_000

/**
 * Checks the clock of a server against this machine's.
 * @param skewMs the server's clock minus this machine's
 * @throws Problem if they differ by more than 30 s
 */
export function checkClock(who: string, side: Side, skewMs: number | undefined): Passed<undefined> {
  if (skewMs === undefined) throw new NotApplicable(`the answer of ${who} has no Date header`)
  if (Math.abs(skewMs) <= IN_STEP_MS) return { value: undefined, detail: `${who} and this machine agree` }
  const sentence = `the clock of ${who} is ${duration(Math.abs(skewMs))} ${skewMs < 0 ? 'behind' : 'ahead of'} this machine's`
  if (Math.abs(skewMs) < MAX_SKEW_MS) return { value: undefined, detail: sentence }
  const remedy =
    'Compare `date -u` on both with a third machine, and run `timedatectl set-ntp true` where it is wrong: tokens expire too early or too late.'
  throw new Problem(sentence, { side, remedy })
}

/** Formats a time for people. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}
