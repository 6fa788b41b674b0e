/** Dials the console of an instance: only ever at the host and port that the authority named. */
import { deadline } from '@oriel/runtime'
import { Refused } from '../refused.ts'
import { connectHypervisor, type HypervisorAddress, type PlainLeg } from './tcp-leg.ts'

/**
 * Connects to the hypervisor within `timeoutMs`.
 * @param readLimit the current limit on the size of a read. Default: the limit of `ReadBuffers`
 * @throws Refused `console_timeout` or `console_unreachable`; the signal's reason once it aborts
 */
export async function dial(
  address: HypervisorAddress,
  timeoutMs: number,
  signal: AbortSignal,
  readLimit?: () => number,
): Promise<PlainLeg> {
  using limit = deadline(timeoutMs, signal)
  try {
    return await connectHypervisor({ host: address.host, port: address.port }, limit.signal, readLimit)
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    if (limit.passed) throw new Refused('console_timeout', `no connection within ${timeoutMs} ms`, { cause })
    throw new Refused('console_unreachable', `no connection: ${reasonOf(cause)}`, { cause })
  }
}

function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException
  return code ?? message
}
