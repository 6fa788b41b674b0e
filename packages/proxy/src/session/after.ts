/** A timer for any span: `setTimeout` fires at once where it is longer than 2^31 - 1 milliseconds, about 25 days. */

/** The longest span that `setTimeout` takes, milliseconds. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Calls `act` once, after `ms` milliseconds; at once where that is past. Disposal calls it off. */
export function after(ms: number, act: () => void): Disposable {
  let timer: NodeJS.Timeout
  const wait = (leftMs: number) => {
    const nowMs = Math.min(Math.max(leftMs, 0), MAX_TIMER_MS)
    timer = setTimeout(() => (leftMs > nowMs ? wait(leftMs - nowMs) : act()), nowMs)
  }
  wait(ms)
  return { [Symbol.dispose]: () => clearTimeout(timer) }
}
