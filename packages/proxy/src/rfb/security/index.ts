/** The security types for the leg to the hypervisor, by their names in the configuration. */
import type { Secret } from '@oriel/runtime'
import { none } from './none.ts'
import type { SecurityType } from './security-type.ts'
import { vencrypt } from './vencrypt.ts'
import { vncAuthentication } from './vnc-authentication.ts'

/** A name as in `hypervisor.vnc.auth_schemes`. */
export type SecurityScheme = keyof typeof makers

const makers = {
  vencrypt,
  vnc_auth: vncAuthentication,
  none: () => none,
} as const satisfies Record<string, (password?: Secret) => SecurityType>

/**
 * Creates the security type with that name.
 * @param password of the VNC server. Default: none, and a server that requires one is refused
 */
export const securityType = (scheme: SecurityScheme, password?: Secret): SecurityType => makers[scheme](password)
