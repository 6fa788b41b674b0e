/** The legacy console actions (until 2.5): one for each protocol. */
import type { ConsoleType, Protocol } from '@oriel/contract'
import type { Call, Operation } from '../http/mount.ts'
import { enforce } from '../policy/enforce.ts'
import { REMOTE_CONSOLES_RULE as RULE } from '../policy/rules.ts'
import { lookUp } from '../servers/look-up.ts'
import type { ActionVariant } from './driver-faults.ts'
import { unavailable } from './drivers.ts'
import { type ConsoleDeps, openForNova } from './open.ts'

/** The body of an action: an object with the type under the action's name. */
type Body<T extends ConsoleType> = { readonly [action: string]: { readonly type: T } }
type Created<T extends ConsoleType> = { readonly console: { readonly type: T; readonly url: string } }

/** Creates a console of `protocol`. Checks policy before it looks the server up; `remote-consoles` does the reverse. */
export function consoleAction<T extends ConsoleType>(
  deps: ConsoleDeps,
  protocol: Protocol,
  variant: ActionVariant = 'action',
): Operation<Body<T>, Created<T>> {
  return {
    async handle(call: Call<Body<T>>) {
      const { type } = Object.values(call.body)[0]!
      enforce(deps.config.policy, RULE, call.identity)
      const server = await lookUp(deps.source, call.identity, call.params.server_id!, call.signal)
      const url = await openForNova(deps, { server, protocol, type, variant }, call)
      return { console: { type, url } }
    },
  }
}

/** The action of a removed protocol: refuses every body, server and caller. */
export function goneAction(protocol: Protocol): Operation {
  const refuse = () => {
    throw unavailable(protocol)
  }
  return { refuse, handle: async () => refuse() }
}
