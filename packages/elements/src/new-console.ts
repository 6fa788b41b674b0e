/** Asks the embedding page for a new console. */

/** A console that a portal's server has created, such as the answer of the SDK's `createConsole`. */
export interface NewConsole {
  /** An access URL. It contains a token. */
  readonly url: string
}

/** Creates a console of the machine. Its rejection is shown as a failure; the signal aborts when the answer is not needed any more. */
export type MintConsole = (signal: AbortSignal) => Promise<NewConsole>

export const mintTimeoutMs = 30_000

/**
 * Calls `mint` and resolves with the access URL.
 * @param signal ends the wait; the returned promise then rejects
 * @throws what `mint` rejects with; TypeError for an answer without a URL; DOMException `TimeoutError` after {@link mintTimeoutMs}
 */
export async function mintedUrl(mint: MintConsole, signal: AbortSignal): Promise<string> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(mintTimeoutMs)])
  const ended = Promise.withResolvers<never>()
  const onAbort = () => ended.reject(limit.reason)
  limit.addEventListener('abort', onAbort)
  try {
    const { url } = await Promise.race([mint(limit), ended.promise])
    if (typeof url !== 'string' || url === '') throw new TypeError('`mint` resolved without a URL')
    return url
  } finally {
    limit.removeEventListener('abort', onAbort)
  }
}
