/** The interface of security types, and of the stream on which they negotiate. */
import type { ByteReader } from '../wire/reader.ts'

/** The connection to the peer of a handshake: `reader` reads from the peer, `write` sends to it. */
export interface HandshakeStream {
  readonly reader: ByteReader
  write(bytes: Uint8Array): void
}

/** A handshake with the hypervisor, which may switch to TLS. */
export interface HypervisorStream extends HandshakeStream {
  /**
   * Puts TLS around the leg. From then on `reader` and `write` use the TLS connection.
   * @throws SecurityFailed
   */
  startTls(): Promise<void>
}

/** A security type. `secure` performs the messages between the choice of the type and SecurityResult. */
export interface SecurityType {
  /** The type's number on the wire (RFC 6143 section 7.1.2). */
  readonly number: number
  secure(stream: HypervisorStream): Promise<void>
}

/** Thrown when the hypervisor refuses, or offers no security type that the proxy accepts. */
export class SecurityFailed extends Error {
  override readonly name = 'SecurityFailed'
}
