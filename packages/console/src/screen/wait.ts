/** Waits for a screen to show something. */
import type { OrielError } from '@oriel/sdk'
import { WaitTimeout } from '../errors.ts'
import type { ScreenText } from '../text/read-text.ts'
import { setTimer } from '../timer.ts'
import type { Screenshot } from './image.ts'
import type { Life } from './life.ts'
import { Signal } from './signal.ts'

export interface WaitOptions {
  /** Default: 30,000. `Infinity`: no limit. */
  readonly timeoutMs?: number
  /** Ends the wait with its reason. */
  readonly signal?: AbortSignal
}

export const DEFAULT_WAIT_MS = 30_000
/**
 * How often QEMU is asked to look for changes. It then looks at once, unless it did so in the last 30 ms, and after a quiet
 * look not for another 80 ms: with 100 ms in place of these 50, some changes were seen 80 ms late.
 */
const HURRY_INTERVAL_MS = 50

/** What a wait needs of its screen. */
export interface Watched {
  readonly life: Life
  /** Has the server look for changes often. */
  hurry(): void
  screenshot(): Screenshot
  /** The text that was read last, if any was. */
  text(): ScreenText | undefined
  /** Why there is no connection now, if it was lost and is being opened again. */
  lost(): OrielError | undefined
}

/**
 * Calls `look` now, after each update, and when `recheck` is emitted, until it returns something.
 * @param goal completes the sentence "The screen did not show …"
 * @throws WaitTimeout, the reason of the signal, the error with which the screen ended, or what `look` throws
 */
export function waitUntil<T>(
  screen: Watched,
  goal: string,
  look: () => T | undefined | Promise<T | undefined>,
  { timeoutMs = DEFAULT_WAIT_MS, signal }: WaitOptions = {},
  recheck = new Signal<void>(),
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const message = `The screen did not show ${goal} within ${timeoutMs} ms`
  const late = () => reject(new WaitTimeout(message, screen.screenshot(), screen.text(), screen.lost()))
  const abort = () => reject(signal?.reason)
  const timer = setTimer(timeoutMs, late)
  screen.hurry()
  const hurry = setInterval(() => screen.hurry(), HURRY_INTERVAL_MS)
  const check = oneAtATime(look, resolve, reject)
  const { onUpdate, onEnd, failure } = screen.life
  const removers = [onUpdate.add(check), recheck.add(check), onEnd.add(reject)]
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  else if (failure) reject(failure)
  else check()
  return promise.finally(() => {
    clearTimeout(timer)
    clearInterval(hurry)
    for (const remove of removers) remove()
    signal?.removeEventListener('abort', abort)
  })
}

/** Returns a function that calls `look`, or, while that is still at work, has it called once more afterwards. */
function oneAtATime<T>(
  look: () => T | undefined | Promise<T | undefined>,
  found: (value: T) => void,
  failed: (error: unknown) => void,
): () => void {
  let isBusy = false
  let isStale = false
  const check = (): void => {
    isStale = isBusy
    if (isBusy) return
    try {
      const seen = look()
      isBusy = seen instanceof Promise
      if (seen instanceof Promise) seen.then(settle, failed)
      else settle(seen)
    } catch (error) {
      failed(error)
    }
  }
  const settle = (seen: T | undefined) => {
    isBusy = false
    if (seen !== undefined) found(seen)
    else if (isStale) check()
  }
  return check
}
