/** Confirms that a console is still the instance's, beside the work that reaches it. */
import { isDeepStrictEqual } from 'node:util'
import type { Admission, Authority, ConsoleClaim } from './authority.ts'

/** What was reached, and where it is. */
export interface Confirmed<T> {
  readonly admission: Admission
  readonly reached: T
}

/**
 * Runs `reach` and the authority's confirmation at once. What was reached is handed out only once it is confirmed; where the
 * console is elsewhere by now, it is dropped and reached there.
 * @param reach dials, say; it must end when its signal aborts
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
  // It may fail while the confirmation is awaited.
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
  if (isDeepStrictEqual(placeOf(confirmed), placeOf(admission))) {
    return { admission: confirmed, reached: await early }
  }
  drop()
  return { admission: confirmed, reached: await reach(confirmed, signal) }
}

/** What is dialled. A path is asked for later. */
const placeOf = ({ host, port, tlsPort }: Admission) => ({ host, port, tlsPort })
