/** The stream of a handshake on a leg to a VNC server: in plaintext first, within TLS after `startTls`. */

import type { HypervisorSocket, LegTls, PlainLeg } from '../hypervisor/leg.ts'
import { identityProblem, tlsFailure } from '../hypervisor/server-certificate.ts'
import { type HypervisorStream, SecurityFailed } from './security/security-type.ts'
import { ByteReader } from './wire/reader.ts'

/** Enough for the longest messages of a handshake: a list of security types, and the reason for a refusal. */
const MAX_BYTES = 4096

export interface LegStreamOptions {
  /** The options of TLS. Absent if no accepted security type uses TLS. */
  readonly tls?: LegTls | undefined
  /** Rejects pending reads. */
  readonly signal: AbortSignal
}

export class LegStream implements HypervisorStream {
  readonly #dialled: PlainLeg
  readonly #options: LegStreamOptions
  #leg: HypervisorSocket
  #reader: ByteReader

  constructor(dialled: PlainLeg, options: LegStreamOptions) {
    this.#dialled = dialled
    this.#options = options
    this.#leg = dialled
    this.#reader = readerOf(
      dialled,
      options.signal,
      (cause) => cause ?? new Error('the hypervisor closed the connection'),
    )
  }

  get reader(): ByteReader {
    return this.#reader
  }

  /** The current leg: the dialled one, or TLS around it. */
  get leg(): HypervisorSocket {
    return this.#leg
  }

  readonly write = (bytes: Uint8Array): void => void this.#leg.write(bytes)

  /** Rejects plaintext bytes that arrived before TLS: an attacker on the network may have injected them. */
  async startTls(): Promise<void> {
    const { tls, signal } = this.#options
    if (!tls) throw new TypeError('a security type started TLS, but no TLS options are configured')
    const problem = identityProblem(tls.host, tls.expected.hosts)
    if (problem !== undefined) throw new SecurityFailed(problem)
    if (this.rest().length > 0) throw new SecurityFailed('the hypervisor sent bytes before TLS started')
    this.#leg = await this.#dialled.startTls(tls, signal).catch((cause: Error) => {
      throw signal.aborted ? signal.reason : new SecurityFailed(tlsFailure(cause), { cause })
    })
    this.#reader = readerOf(this.#leg, signal, (cause) => closedAfterTls(tls, cause))
  }

  /** Pauses the leg, and returns the bytes that arrived and were not read. */
  rest(): Buffer {
    this.#leg.pause()
    return this.#reader.rest()
  }
}

function readerOf(leg: HypervisorSocket, signal: AbortSignal, failure: (cause?: Error) => Error): ByteReader {
  const reader = new ByteReader({ maxBytes: MAX_BYTES, signal })
  leg.take((bytes) => {
    reader.push(bytes)
    leg.giveBack(bytes)
    return true
  })
  leg.closed.then((cause) => reader.fail(failure(cause)))
  return reader
}

/** In TLS 1.3 a server verifies the client's certificate after the client has finished; QEMU then just disconnects. */
function closedAfterTls({ hasCertificate }: LegTls, cause?: Error): SecurityFailed {
  if (cause && 'code' in cause && String(cause.code).startsWith('ERR_SSL_')) {
    return new SecurityFailed(tlsFailure(cause), { cause })
  }
  const guess = hasCertificate
    ? 'check that it trusts the CA of hypervisor.vnc.cert'
    : 'if it requires a client certificate, set hypervisor.vnc.cert and hypervisor.vnc.key'
  return new SecurityFailed(`the hypervisor closed the connection right after the TLS handshake: ${guess}`, { cause })
}
