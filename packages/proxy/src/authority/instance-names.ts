/** Looks up the names under which a hypervisor may show an instance, anew for each session and in parallel with the dial. */
import { Refused } from '../refused.ts'
import type { InstanceNames } from '../rfb/identity.ts'
import type { Admission, Authority } from './authority.ts'

/** The names, or the refusal if the look-up failed. */
export type LearntNames = { readonly known: InstanceNames } | { readonly refused: Refused }

/** Asks the authority, unless the admission contains the name. Rejects only with the signal's reason, once it aborts. */
export async function learnNames(
  authority: Pick<Authority, 'names'>,
  { instance, instanceName }: Admission,
  signal: AbortSignal,
): Promise<LearntNames> {
  if (!authority.names) return { known: { names: [...(instanceName === undefined ? [] : [instanceName]), instance] } }
  try {
    return { known: await authority.names(instance, signal) }
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    if (cause instanceof Refused) return { refused: cause }
    throw cause
  }
}
