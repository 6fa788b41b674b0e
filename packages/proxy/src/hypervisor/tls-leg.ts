/** TLS over a leg that was dialled in clear, as VeNCrypt begins it, with the interface of any other leg. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect, type SecureContext, type TLSSocket } from 'node:tls'
import { guardPeer } from '@oriel/runtime'
import { ReadBuffers } from './read-buffers.ts'
import { checkIdentity, type ExpectedIdentity, serverName } from './server-certificate.ts'
import { endOf, type HypervisorSocket, type TakeBytes } from './tcp-leg.ts'

export interface LegTls {
  /** The authorities that are trusted, and the proxy's own certificate where it has one. */
  readonly context: SecureContext
  /** The host that the authority named. */
  readonly host: string
  readonly expected: ExpectedIdentity
  /** Whether `context` has a certificate for the proxy itself. */
  readonly hasCertificate: boolean
}

/**
 * Puts TLS 1.2 or newer around `socket`. The certificate is always verified: there is no way around it.
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
    // Said in so many words, since a variable of the environment would otherwise switch it off.
    rejectUnauthorized: true,
    checkServerIdentity: (_, certificate) => checkIdentity(tls.host, certificate, tls.expected),
  })
  const ended = endOf(secure)
  await secured(secure, signal)
  return legOf(secure, ended, readLimit)
}

async function secured(secure: TLSSocket, signal: AbortSignal): Promise<void> {
  try {
    await once(secure, 'secureConnect', { signal })
  } catch (error) {
    secure.destroy()
    throw signal.aborted ? signal.reason : error
  }
}

function legOf(
  socket: TLSSocket,
  ended: Promise<Error | undefined>,
  readLimit: (() => number) | undefined,
): HypervisorSocket {
  const pieces = new GatheredPieces(socket, readLimit)
  return {
    take: (bytes) => pieces.take(bytes),
    giveBack: (bytes) => pieces.giveBack(bytes),
    get lentBytes() {
      return pieces.lentBytes
    },
    pause: () => pieces.pause(),
    resume: () => pieces.resume(),
    write: (bytes) => socket.write(bytes),
    onDrain: (drained) => void socket.on('drain', drained),
    ended,
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

/**
 * `onread` is for plain TCP alone: TLS gives each record, of at most 16 KiB, as a buffer of its own. A frame for each costs
 * an eighth more than this: what one turn of the event loop brings is gathered into read buffers of the usual kind.
 */
class GatheredPieces {
  readonly #socket: TLSSocket
  readonly #buffers: ReadBuffers
  #taker: TakeBytes | undefined
  #paused = true
  #buffer: Buffer | undefined
  #length = 0
  #due: NodeJS.Immediate | undefined
  readonly #flush: () => void

  constructor(socket: TLSSocket, readLimit: (() => number) | undefined) {
    this.#socket = socket
    this.#buffers = new ReadBuffers(readLimit)
    const drop = (cause: Error) => void socket.destroy(cause)
    this.#flush = guardPeer(() => this.#handOver(), drop)
    socket.on(
      'data',
      guardPeer((piece: Buffer) => this.#gather(piece), drop),
    )
    // Whoever hears of the end must have had all that came before.
    for (const event of ['end', 'error', 'close']) socket.on(event, () => this.#flush())
    // To listen for data is to read.
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

  /** What was gathered waits for whoever takes next. */
  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    this.#flushSoon()
    this.#socket.resume()
  }

  #gather(piece: Buffer): void {
    let rest = piece
    while (rest.length > 0 && !this.#paused) rest = this.#copy(rest)
    if (rest.length > 0) this.#socket.unshift(rest)
    this.#flushSoon()
  }

  /** @returns what did not fit in */
  #copy(piece: Buffer): Buffer {
    this.#buffer ??= this.#buffers.next()
    const copied = piece.copy(this.#buffer, this.#length)
    this.#length += copied
    if (this.#length === this.#buffer.length) this.#flush()
    return piece.subarray(copied)
  }

  #flushSoon(): void {
    if (this.#length > 0) this.#due ??= setImmediate(() => this.#flush())
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
