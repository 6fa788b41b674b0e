/** POST /servers/{server_id}/remote-consoles. */
import type { NewestBody, NewestResponse } from '@oriel/contract'
import type { Call, Operation } from '../http/mount.ts'
import { enforce, requireProject } from '../policy/enforce.ts'
import { REMOTE_CONSOLES_RULE as RULE } from '../policy/rules.ts'
import { lookUp } from '../servers/look-up.ts'
import { type ConsoleDeps, openForNova } from './open.ts'

type Body = NewestBody<'createRemoteConsole'>
type Response = NewestResponse<'createRemoteConsole'>

/** Creates a console of any type. Looks the server up before it checks policy. */
export function createRemoteConsole(deps: ConsoleDeps): Operation<Body, Response> {
  return {
    async handle(call: Call<Body>) {
      const { protocol, type } = call.body.remote_console
      requireProject(RULE, call.identity)
      const server = await lookUp(deps.source, call.identity, call.params.server_id!, call.signal)
      enforce(deps.config.policy, RULE, call.identity)
      const url = await openForNova(deps, { server, protocol, type, variant: 'remote-consoles' }, call)
      return { remote_console: { ...call.body.remote_console, url } }
    },
  }
}
