/** Deletes expired tokens at the start and at intervals. */
import { type Logger, startPeriodic } from '@oriel/runtime'
import type { ConsoleAuthTokenStore } from './store.ts'

export interface SweeperOptions {
  readonly intervalSeconds: number
  readonly log: Logger
}

/** Sweeps now and every `intervalSeconds`. Disposal waits for a sweep in progress. */
export function startSweeper(store: ConsoleAuthTokenStore, { intervalSeconds, log }: SweeperOptions): AsyncDisposable {
  return startPeriodic(() => sweepOnce(store, log), intervalSeconds * 1000)
}

// Only logs a failure: requests report an unavailable store, and the next sweep deletes the rest.
async function sweepOnce(store: ConsoleAuthTokenStore, log: Logger): Promise<void> {
  try {
    const removed = await store.sweep()
    if (removed > 0) log.debug({ removed }, 'expired console tokens removed')
  } catch (error) {
    log.warn({ err: error }, 'expired console tokens could not be removed')
  }
}
