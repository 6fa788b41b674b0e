/** The roles that a proxy enforces, which it lists in a header of each request to admit a session. */
import { ROLES_HEADER } from '@oriel/contract'
import type { ExtensionCall } from '../http/mount-extension.ts'
import { type AdmittedClient, clientOf, partiesOf, tokenNotFound } from './admitted.ts'
import { auditTo } from './audit.ts'
import type { NewSession } from './store.ts'

type Call = Pick<ExtensionCall, 'headers' | 'log'> & { readonly body: AdmittedClient }
type WithRole = Parameters<typeof partiesOf>[0] & Required<Pick<NewSession, 'role'>>

/** @throws HttpFault 404 if the proxy does not enforce the role of the token or the session: it would let a watcher type */
export function requireEnforcedRole(call: Call, console: WithRole): void {
  const { role } = console
  if (role === 'control' || enforcedRoles(call.headers).includes(role)) return
  auditTo(call.log).refused({ ...clientOf(call), ...partiesOf(console) }, 'unknown_token', 'the proxy is too old')
  const { proxy_id: proxyId } = call.body
  const message = 'a console was refused, because the proxy does not enforce its role: update the proxy'
  call.log.warn({ proxyId, role }, message)
  throw tokenNotFound()
}

const enforcedRoles = (headers: Headers) => (headers.get(ROLES_HEADER) ?? '').split(',').map((role) => role.trim())
