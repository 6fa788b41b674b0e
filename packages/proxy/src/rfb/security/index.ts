/** The security types with which the proxy may secure its leg to the hypervisor, by their names in the configuration. */
import type { HandshakeStream } from '../hypervisor-handshake.ts'
import { none } from './none.ts'
import { vencrypt } from './vencrypt.ts'

/** A handshake that may go over to TLS. */
export interface HypervisorStream extends HandshakeStream {
  /**
   * Puts TLS around the leg. `reader` and `write` are those within it from then on.
   * @throws SecurityFailed
   */
  startTls(): Promise<void>
}

/** One security type: everything between the choice of the type and SecurityResult. */
export interface SecurityType {
  /** As on the wire (RFC 6143 section 7.1.2). */
  readonly number: number
  secure(stream: HypervisorStream): Promise<void>
}

/** A name as in `hypervisor.vnc.auth_schemes`. */
export type SecurityScheme = keyof typeof securitySchemes

export const securitySchemes = { vencrypt, none } as const satisfies Record<string, SecurityType>
