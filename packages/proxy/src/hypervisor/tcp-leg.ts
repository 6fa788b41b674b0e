/** The leg over TCP or a Unix socket: its socket reads into buffers that the leg provides, through `onread` of `node:net`. */
import { connect, type Socket } from 'node:net'
import { guardPeer } from '@oriel/runtime'
import type { HypervisorAddress, HypervisorSocket, LegTls, PlainLeg, TakeBytes } from './leg.ts'
import { ReadBuffers } from './read-buffers.ts'
import { type Endpoint, endOf, endpointOf, established, tcpOptions } from './socket.ts'
import { startTls } from './tls-leg.ts'

/**
 * Connects by TCP, or to a Unix socket.
 * @param signal aborts the attempt; has no effect on the established connection
 * @param readLimit the current limit on the size of a read. Default: the limit of `ReadBuffers`
 * @throws the socket's error, or the signal's reason
 */
export async function connectHypervisor(
  address: HypervisorAddress,
  signal: AbortSignal,
  readLimit?: () => number,
): Promise<PlainLeg> {
  signal.throwIfAborted()
  await using endpoint = await endpointOf(address, signal)
  const leg = new TcpLeg(endpoint, readLimit)
  await leg.connected(signal)
  return leg
}

/** Has methods on the prototype, and one guard for all legs: as closures they would cost every idle session 2 KiB. */
class TcpLeg implements PlainLeg {
  readonly closed: Promise<Error | undefined>
  readonly #socket: Socket
  readonly #readLimit: (() => number) | undefined
  readonly #buffers: ReadBuffers
  #taker: TakeBytes | undefined

  static readonly #read = guardPeer(
    (leg: TcpLeg, length: number, buffer: Uint8Array): boolean =>
      leg.#taker?.(leg.#buffers.lend(buffer, length)) ?? false,
    (cause, leg) => {
      leg.#socket.destroy(cause)
      return false
    },
  )

  constructor({ options }: Endpoint, readLimit: (() => number) | undefined) {
    this.#readLimit = readLimit
    this.#buffers = new ReadBuffers(readLimit)
    this.#socket = connect({
      ...options,
      ...tcpOptions,
      onread: {
        buffer: () => this.#buffers.next(),
        callback: (length, buffer) => TcpLeg.#read(this, length, buffer),
      },
    })
    // Paused before it connects, because there is no taker for the first bytes yet.
    this.#socket.pause()
    this.closed = endOf(this.#socket)
  }

  /** @throws the socket's error, or the signal's reason */
  connected(signal: AbortSignal): Promise<void> {
    return established(this.#socket, 'connect', signal)
  }

  take(taker: TakeBytes): void {
    this.#taker = taker
    this.#socket.resume()
  }

  giveBack(bytes: Buffer): void {
    this.#buffers.giveBack(bytes)
  }

  get lentBytes(): number {
    return this.#buffers.lentBytes
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes)
  }

  onDrain(drained: () => void): void {
    this.#socket.on('drain', drained)
  }

  startTls(tls: LegTls, signal: AbortSignal): Promise<HypervisorSocket> {
    return startTls(this.#socket, tls, signal, this.#readLimit)
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
