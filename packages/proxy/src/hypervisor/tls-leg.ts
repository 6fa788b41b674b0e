/** The leg over TLS, which VeNCrypt starts on a connection that was dialled in plaintext. */
import type { Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { guardPeer } from '@oriel/runtime'
import type { HypervisorSocket, LegTls, TakeBytes } from './leg.ts'
import { ReadBuffers } from './read-buffers.ts'
import { checkIdentity, serverName } from './server-certificate.ts'
import { endOf, established } from './socket.ts'

/**
 * Puts TLS 1.2 or newer around `socket`. Always verifies the certificate.
 * @throws the error of TLS or of the socket; the signal's reason once it aborts
 */
export async function startTls(
  socket: Socket,
  tls: LegTls,
  signal: AbortSignal,
  readLimit?: () => number,
): Promise<HypervisorSocket> {
  signal.throwIfAborted()
  const secure = connect({
    socket,
    secureContext: tls.context,
    servername: serverName(tls.host, tls.expected.hosts),
    minVersion: 'TLSv1.2',
    // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED would change the default.
    rejectUnauthorized: true,
    checkServerIdentity: (_, certificate) => checkIdentity(tls.host, certificate, tls.expected),
  })
  const closed = endOf(secure)
  await established(secure, 'secureConnect', signal)
  return new TlsLeg(secure, closed, readLimit)
}

/**
 * Frees the memory of a record that has been copied. V8 would free it only when enough megabytes have gathered to start a full
 * collection. A busy console would then cause 25 of those for each GiB, which cost a quarter of the CPU time.
 */
function freeMemory({ buffer, length }: Buffer): void {
  // Memory that another buffer may share is left to V8.
  if (length === buffer.byteLength) (buffer as ArrayBuffer).transfer(0)
}

/**
 * Copies the TLS records of one turn of the event loop into one read buffer. Node supports `onread` for plain TCP only, and
 * gives each record, of at most 16 KiB, its own buffer; a WebSocket frame for each would cost an eighth more CPU time.
 */
class TlsLeg implements HypervisorSocket {
  readonly closed: Promise<Error | undefined>
  readonly #socket: TLSSocket
  readonly #buffers: ReadBuffers
  #taker: TakeBytes | undefined
  #paused = true
  #buffer: Buffer | undefined
  #length = 0
  #due: NodeJS.Immediate | undefined
  readonly #flush: () => void

  constructor(socket: TLSSocket, closed: Promise<Error | undefined>, readLimit: (() => number) | undefined) {
    this.closed = closed
    this.#socket = socket
    this.#buffers = new ReadBuffers(readLimit)
    const drop = (cause: Error) => void socket.destroy(cause)
    this.#flush = guardPeer(() => this.#handOver(), drop)
    socket.on(
      'data',
      guardPeer((piece: Buffer) => this.#gather(piece), drop),
    )
    // The taker must receive all bytes before `closed` resolves.
    for (const event of ['end', 'error', 'close']) socket.on(event, this.#flush)
    // A listener for 'data' starts the reading.
    socket.pause()
  }

  get lentBytes(): number {
    return this.#buffers.lentBytes
  }

  take(taker: TakeBytes): void {
    this.#taker = taker
    this.resume()
  }

  giveBack(bytes: Buffer): void {
    this.#buffers.giveBack(bytes)
  }

  /** Keeps gathered bytes until `take()` or `resume()`. */
  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    this.#flushSoon()
    this.#socket.resume()
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes)
  }

  onDrain(drained: () => void): void {
    this.#socket.on('drain', drained)
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  #gather(piece: Buffer): void {
    let rest = piece
    while (rest.length > 0 && !this.#paused) rest = this.#copy(rest)
    if (rest.length > 0) this.#socket.unshift(rest)
    else freeMemory(piece)
    this.#flushSoon()
  }

  /** Copies `piece` into the buffer. Returns the part for which there was no room. */
  #copy(piece: Buffer): Buffer {
    this.#buffer ??= this.#buffers.next()
    const copied = piece.copy(this.#buffer, this.#length)
    this.#length += copied
    if (this.#length === this.#buffer.length) this.#flush()
    return piece.subarray(copied)
  }

  #flushSoon(): void {
    if (this.#length > 0) this.#due ??= setImmediate(this.#flush)
  }

  #handOver(): void {
    clearImmediate(this.#due)
    this.#due = undefined
    if (this.#paused || this.#buffer === undefined) return
    const bytes = this.#buffers.lend(this.#buffer, this.#length)
    this.#buffer = undefined
    this.#length = 0
    if (!this.#taker!(bytes)) this.pause()
  }
}
