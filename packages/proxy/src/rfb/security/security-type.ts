/** What a security type is, and the stream on which it negotiates. */
import type { ByteReader } from '../wire/reader.ts'

/** The peer's end of a handshake: `reader` has the bytes that the peer sends, `write` sends bytes to it. */
export interface HandshakeStream {
  readonly reader: ByteReader
  write(bytes: Uint8Array): void
}

/** A handshake with the hypervisor, which may switch to TLS. */
export interface HypervisorStream extends HandshakeStream {
  /**
   * Puts TLS around the leg. From then on `reader` and `write` carry the plaintext within it.
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

/** The hypervisor refused, or offered no security that the proxy accepts. */
export class SecurityFailed extends Error {
  override readonly name = 'SecurityFailed'
}
