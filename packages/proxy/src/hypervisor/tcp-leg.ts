/** The leg over TCP or a Unix socket: its socket reads into buffers that the leg provides, through `onread` of `node:net`. */
import { connect } from 'node:net'
import { guardPeer } from '@oriel/runtime'
import type { HypervisorAddress, PlainLeg, TakeBytes } from './leg.ts'
import { ReadBuffers } from './read-buffers.ts'
import { endOf, endpointOf, established, tcpOptions } from './socket.ts'
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
  const buffers = new ReadBuffers(readLimit)
  let taker: TakeBytes | undefined
  const socket = connect({
    ...endpoint.options,
    ...tcpOptions,
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
  // Paused before it connects, because there is no taker for the first bytes yet.
  socket.pause()
  const closed = endOf(socket)
  await established(socket, 'connect', signal)
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
    closed,
    startTls: (tls, signal) => startTls(socket, tls, signal, readLimit),
    [Symbol.dispose]: () => void socket.destroy(),
  }
}
