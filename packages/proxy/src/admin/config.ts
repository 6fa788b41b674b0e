/** `[admin]`: where health, metrics and the session list are served. */
import { type ConfigFault, isLoopback, listenAddress, parseListen, sha256Digest, table } from '@oriel/runtime'
import * as Type from 'typebox'

/** `[admin]`. */
export const adminTable = table({
  listen: Object.assign(listenAddress('127.0.0.1:6079'), {
    description:
      'The address of /healthz, /readyz, /metrics and /sessions, as host:port. Without the table [admin] they are not served.',
  }),
  token_sha256: Type.Optional(sha256Digest({ description: 'The SHA-256 digest of the token for /sessions.' })),
})

export type AdminConfig = Type.Static<typeof adminTable>

/** Requires a token unless the listener is on loopback: the session list shows who has which console open. */
export function adminFaults(admin: AdminConfig | undefined): ConfigFault[] {
  if (!admin || admin.token_sha256 !== undefined || isLoopback(parseListen(admin.listen).host)) return []
  const message = 'missing: set the SHA-256 digest of a token for /sessions, or bind admin.listen to loopback'
  return [{ path: 'admin.token_sha256', message }]
}
