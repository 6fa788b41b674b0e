const MAX_DELAY_MS = 2 ** 31 - 1

/** Starts a timer. Returns `undefined` for `Infinity`: a timer's delay has 31 bits, and a longer one fires at once. */
export const setTimer = (ms: number, onTimeout: () => void) =>
  ms > MAX_DELAY_MS ? undefined : setTimeout(onTimeout, ms)
