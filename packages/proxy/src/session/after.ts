/** A timer without a maximum: `setTimeout` fires at once for a delay above 2^31 - 1 milliseconds, about 25 days. */

/** The longest delay that `setTimeout` supports. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Calls `act` once after `ms` milliseconds, or at once if `ms` is negative. Disposal cancels the call. */
export function after(ms: number, act: () => void): Disposable {
  let timer: NodeJS.Timeout
  const wait = (leftMs: number) => {
    const nowMs = Math.min(Math.max(leftMs, 0), MAX_TIMER_MS)
    timer = setTimeout(() => (leftMs > nowMs ? wait(leftMs - nowMs) : act()), nowMs)
  }
  wait(ms)
  return { [Symbol.dispose]: () => clearTimeout(timer) }
}
