/** Sweeping: expired tokens are removed at the start and from time to time. */
import type { Logger } from '@oriel/runtime'
import type { ConsoleAuthTokenStore } from './store.ts'

export interface SweeperOptions {
  readonly intervalSeconds: number
  readonly log: Logger
}

/** Sweeps now and every `intervalSeconds`. It keeps no program alive; disposing of it waits for a sweep under way. */
export function startSweeper(store: ConsoleAuthTokenStore, { intervalSeconds, log }: SweeperOptions): AsyncDisposable {
  let running: Promise<void> | undefined
  const sweep = () => {
    running ??= sweepOnce(store, log).finally(() => {
      running = undefined
    })
  }
  const timer = setInterval(sweep, intervalSeconds * 1000).unref()
  sweep()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await running
    },
  }
}

// A store that is away is the requests' business; the next sweep takes what this one left.
async function sweepOnce(store: ConsoleAuthTokenStore, log: Logger): Promise<void> {
  try {
    const removed = await store.sweep()
    if (removed > 0) log.debug({ removed }, 'expired console tokens removed')
  } catch (error) {
    log.warn({ err: error }, 'expired console tokens could not be removed')
  }
}
