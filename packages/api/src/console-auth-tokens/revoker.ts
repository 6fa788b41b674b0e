/** Revokes the tokens of a server that stops, is removed or moves: they must not lead to the next guest at its address. */
import type { Logger } from '@oriel/runtime'
import type { ServerChange, Source } from '../sources/source.ts'
import type { ConsoleAuthTokenStore } from './store.ts'

/** How soon to retry after the store was unavailable. */
const RETRY_AFTER_MS = 1000

/**
 * Revokes the tokens of each server that `source` reports, until disposed of. Disposal waits for a revocation in progress.
 */
export function startRevoker(
  source: Source,
  tokens: Pick<ConsoleAuthTokenStore, 'revokeServer'>,
  { log }: { readonly log: Logger },
): AsyncDisposable {
  const owed = new Map<string, ServerChange>()
  let running: Promise<void> | undefined
  let failed = false
  const run = () => {
    running ??= revokeAll(owed, tokens, log, failed).then((hasFailed) => {
      failed = hasFailed
      running = undefined
    })
  }
  const subscription = source.subscribe?.((change) => {
    owed.set(change.serverId, change)
    run()
  })
  const timer = setInterval(() => void (owed.size > 0 && run()), RETRY_AFTER_MS).unref()
  return {
    async [Symbol.asyncDispose]() {
      subscription?.[Symbol.dispose]()
      clearInterval(timer)
      await running
    },
  }
}

/**
 * Revokes the tokens of all servers that are still due. A failed one stays due.
 * @param failedBefore the failure is already logged, so that the retries each second log at level debug
 * @returns whether a revocation failed
 */
async function revokeAll(
  owed: Map<string, ServerChange>,
  tokens: Pick<ConsoleAuthTokenStore, 'revokeServer'>,
  log: Logger,
  failedBefore: boolean,
): Promise<boolean> {
  for (const [serverId, change] of owed) {
    owed.delete(serverId)
    try {
      const revoked = await tokens.revokeServer(serverId)
      log.info({ serverId, change: change.kind, revoked }, 'console tokens revoked')
    } catch (err) {
      const level = failedBefore ? 'debug' : 'error'
      log[level]({ err, serverId, change: change.kind }, 'console tokens could not be revoked, they will be')
      owed.set(serverId, change)
      return true
    }
  }
  return false
}
