/** Revokes the tokens of a server that stops, is removed or moves: they must not lead to the next guest at its address. */
import type { Logger } from '@oriel/runtime'
import type { ServerChange, Source } from '../sources/source.ts'

/** The tokens of servers, with the sessions that they opened. */
export interface ServerTokens {
  /** Revokes every token of a server, and returns their number. @param change what happened to the server */
  revokeServer(serverId: string, change: ServerChange['kind']): Promise<number>
}

/** How soon to retry after the store was unavailable. */
const RETRY_AFTER_MS = 1000

/**
 * Revokes the tokens of each server that `source` reports, until disposed of. Disposal waits for a revocation in progress.
 */
export function startRevoker(source: Source, tokens: ServerTokens, { log }: { readonly log: Logger }): AsyncDisposable {
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
    note(owed, change)
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

/** Keeps an earlier change that is still due, unless the server only moved: after the others its sessions may not be resumed. */
function note(owed: Map<string, ServerChange>, change: ServerChange): void {
  const earlier = owed.get(change.serverId)
  if (earlier === undefined || earlier.kind === 'moved') owed.set(change.serverId, change)
}

/**
 * Revokes the tokens of all servers that are still due. A failed one stays due.
 * @param failedBefore the failure is already logged, so that the retries each second log at level debug
 * @returns whether a revocation failed
 */
async function revokeAll(
  owed: Map<string, ServerChange>,
  tokens: ServerTokens,
  log: Logger,
  failedBefore: boolean,
): Promise<boolean> {
  for (const [serverId, change] of owed) {
    owed.delete(serverId)
    try {
      const revoked = await tokens.revokeServer(serverId, change.kind)
      log.info({ serverId, change: change.kind, revoked }, 'console tokens revoked')
    } catch (err) {
      const level = failedBefore ? 'debug' : 'error'
      log[level]({ err, serverId, change: change.kind }, 'console tokens could not be revoked, they will be')
      note(owed, change)
      return true
    }
  }
  return false
}
