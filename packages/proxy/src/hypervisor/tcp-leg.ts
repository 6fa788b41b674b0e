/** The proxy's leg to the hypervisor: a socket that is read into buffers of its own, through `onread` of `node:net`. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { CloseReasonName } from '@oriel/contract'
import { guardPeer } from '@oriel/runtime'
import { ReadBuffers } from './read-buffers.ts'
import { type LegTls, startTls } from './tls-leg.ts'

/** Takes what arrives. The bytes are lent: give them back with `giveBack`. `false` pauses reading until `resume`. */
export type TakeBytes = (bytes: Buffer) => boolean

/** A leg to the hypervisor, whatever protects it. */
export interface HypervisorSocket extends Disposable {
  /** Directs what arrives from now on. Until the first call nothing is read. */
  take(bytes: TakeBytes): void
  giveBack(bytes: Buffer): void
  /** What is lent at the moment, in bytes. */
  readonly lentBytes: number
  /** Nothing is taken until `take` or `resume`. */
  pause(): void
  resume(): void
  /** `false` when the socket buffers more than it should; `onDrain` tells when it no longer does. */
  write(bytes: Uint8Array): boolean
  onDrain(drained: () => void): void
  /** Tells once how the leg ended: `undefined` after an orderly end, else the error. */
  readonly ended: Promise<Error | undefined>
  /** Drops the leg at once, with whatever was not written. */
  [Symbol.dispose](): void
}

/** A leg as it was dialled: in clear. */
export interface PlainLeg extends HypervisorSocket {
  /**
   * Puts TLS around the leg, once nothing of it is read any more. From then on only what this gives may be used.
   * @throws the error of TLS or of the socket; the signal's reason once it aborts
   */
  startTls(tls: LegTls, signal: AbortSignal): Promise<HypervisorSocket>
}

/** Makes a leg that behaves as `leg` does, except for `changes`. */
export function legLike(leg: HypervisorSocket, changes: Partial<HypervisorSocket>): HypervisorSocket {
  return {
    take: (taker) => leg.take(taker),
    giveBack: (bytes) => leg.giveBack(bytes),
    get lentBytes() {
      return leg.lentBytes
    },
    pause: () => leg.pause(),
    resume: () => leg.resume(),
    write: (bytes) => leg.write(bytes),
    onDrain: (drained) => leg.onDrain(drained),
    ended: leg.ended,
    [Symbol.dispose]: () => leg[Symbol.dispose](),
    ...changes,
  }
}

/** An end of a leg that is not just a broken connection: the session ends for this reason. */
export class LegFault extends Error {
  override readonly name = 'LegFault'
  readonly reason: CloseReasonName

  constructor(reason: CloseReasonName, detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.reason = reason
  }
}

export interface HypervisorAddress {
  readonly host: string
  readonly port: number
}

const KEEP_ALIVE_MS = 30_000

/**
 * Connects by TCP.
 * @param signal ends the attempt; once connected it has no effect
 * @param readLimit the current limit on the size of a read. Default: the limit of `ReadBuffers`
 * @throws the socket's error, or the signal's reason
 */
export async function connectHypervisor(
  address: HypervisorAddress,
  signal: AbortSignal,
  readLimit?: () => number,
): Promise<PlainLeg> {
  signal.throwIfAborted()
  const buffers = new ReadBuffers(readLimit)
  let taker: TakeBytes | undefined
  const socket = connect({
    ...address,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    onread: {
      buffer: () => buffers.next(),
      callback: guardPeer(
        (length, buffer) => taker?.(buffers.lend(buffer, length)) ?? false,
        (cause) => {
          socket.destroy(cause)
          return false
        },
      ),
    },
  })
  // Before it connects, so that not one byte is read until somebody takes it.
  socket.pause()
  const ended = endOf(socket)
  await connected(socket, signal)
  return {
    take: (bytes) => {
      taker = bytes
      socket.resume()
    },
    giveBack: (bytes) => buffers.giveBack(bytes),
    get lentBytes() {
      return buffers.lentBytes
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    write: (bytes) => socket.write(bytes),
    onDrain: (drained) => void socket.on('drain', drained),
    ended,
    startTls: (tls, signal) => startTls(socket, tls, signal, readLimit),
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

async function connected(socket: Socket, signal: AbortSignal): Promise<void> {
  try {
    await once(socket, 'connect', { signal })
  } catch (error) {
    socket.destroy()
    throw signal.aborted ? signal.reason : error
  }
}

/** Tells how `socket` ends; its errors no longer end the process. */
export function endOf(socket: Socket): Promise<Error | undefined> {
  const { promise, resolve } = Promise.withResolvers<Error | undefined>()
  socket.once('error', resolve)
  socket.once('end', () => resolve(undefined))
  socket.once('close', () => resolve(undefined))
  return promise
}
