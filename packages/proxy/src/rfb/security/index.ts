/** The security types for the leg to the hypervisor, by their names in the configuration. */
import { none } from './none.ts'
import type { SecurityType } from './security-type.ts'
import { vencrypt } from './vencrypt.ts'

/** A name as in `hypervisor.vnc.auth_schemes`. */
export type SecurityScheme = keyof typeof securitySchemes

export const securitySchemes = { vencrypt, none } as const satisfies Record<string, SecurityType>
