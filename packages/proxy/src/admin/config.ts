/** `[admin]`: where health, metrics and the session list are served. */
import { type ConfigFault, isLoopback, listenAddress, parseListen, sha256Digest, table } from '@oriel/runtime'
import * as Type from 'typebox'

/** `[admin]`. */
export const adminTable = table({
  listen: Object.assign(listenAddress('127.0.0.1:6079'), {
    description:
      'Where /healthz, /readyz, /metrics and /sessions are answered, as host:port; without a table [admin], nowhere.',
  }),
  token_sha256: Type.Optional(sha256Digest({ description: 'SHA-256 of the token for /sessions.' })),
})

export type AdminConfig = Type.Static<typeof adminTable>

/** Without a token, only this machine may see who has which console open. */
export function adminFaults(admin: AdminConfig | undefined): ConfigFault[] {
  if (!admin || admin.token_sha256 !== undefined || isLoopback(parseListen(admin.listen).host)) return []
  const message = 'missing, give the SHA-256 of a token for /sessions, or let admin.listen be on loopback'
  return [{ path: 'admin.token_sha256', message }]
}
