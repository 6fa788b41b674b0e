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
  vnc_auth: (password) => {
    if (password === undefined) throw new TypeError('vnc_auth needs a password')
    return vncAuthentication(password)
  },
  none: () => none,
} as const satisfies Record<string, (password?: Secret) => SecurityType>

/**
 * Creates the security type with that name.
 * @param password of the VNC servers. Default: none
 * @throws TypeError for `vnc_auth` without a password
 */
export const securityType = (scheme: SecurityScheme, password?: Secret): SecurityType => makers[scheme](password)
