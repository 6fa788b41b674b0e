/** Confirms that a console still belongs to the instance, in parallel with the dial. */
import { isDeepStrictEqual } from 'node:util'
import type { Admission, Authority, ConsoleClaim } from '../authority/authority.ts'

/** A connection to a confirmed console, and the admission that it was dialled by. */
export interface Confirmed<T> {
  readonly admission: Admission
  readonly reached: T
}

/**
 * Runs `reach` and the authority's confirmation in parallel. Returns the connection only once it is confirmed; if the console
 * has moved, drops the connection and calls `reach` again with the new address.
 * @param reach dials the console; must end when its signal aborts
 * @throws Refused, that of the confirmation before that of `reach`; the signal's reason once it aborts
 */
export async function reachConfirmed<T extends Disposable | undefined>(
  authority: Pick<Authority, 'validate'>,
  claim: ConsoleClaim,
  reach: (admission: Admission, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<Confirmed<T>> {
  const { admission } = claim
  if (!authority.validate) return { admission, reached: await reach(admission, signal) }
  const dropped = new AbortController()
  const early = reach(admission, AbortSignal.any([signal, dropped.signal]))
  // If the dial fails while the confirmation is awaited, don't report it as unhandled.
  early.catch(() => {})
  const drop = () => {
    dropped.abort(new Error('the console is elsewhere'))
    early.then((reached) => reached?.[Symbol.dispose]()).catch(() => {})
  }
  let confirmed: Admission
  try {
    confirmed = await authority.validate(claim, signal)
  } catch (error) {
    drop()
    throw error
  }
  if (isDeepStrictEqual(addressOf(confirmed), addressOf(admission))) {
    return { admission: confirmed, reached: await early }
  }
  drop()
  return { admission: confirmed, reached: await reach(confirmed, signal) }
}

/** The address that is dialled. The path is left out: it is requested only after the dial. */
const addressOf = ({ host, port, tlsPort }: Admission) => ({ host, port, tlsPort })
