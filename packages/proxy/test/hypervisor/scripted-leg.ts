/** A leg to a hypervisor whose other side is a test. */
import type { HypervisorSocket, TakeBytes } from '../../src/hypervisor/leg.ts'

/** A leg whose other side is a test. Its bytes are lent, as those of a socket are. */
export function scriptedLeg() {
  const { promise: closed, resolve: end } = Promise.withResolvers<Error | undefined>()
  const written: Buffer[] = []
  let taker: TakeBytes = () => false
  let lentBytes = 0
  let isPaused = true
  let drained = () => {}
  const leg: HypervisorSocket = {
    take: (bytes) => {
      taker = bytes
      isPaused = false
    },
    giveBack: (bytes) => {
      lentBytes -= bytes.length
    },
    get lentBytes() {
      return lentBytes
    },
    pause: () => {
      isPaused = true
    },
    resume: () => {
      isPaused = false
    },
    write: (bytes) => {
      written.push(Buffer.from(bytes))
      return true
    },
    onDrain: (onDrained) => {
      drained = onDrained
    },
    closed,
    [Symbol.dispose]: () => end(undefined),
  }
  const say = (bytes: Buffer) => {
    lentBytes += bytes.length
    if (!taker(bytes)) isPaused = true
  }
  const heard = () => Buffer.concat(written)
  return { leg, say, end, heard, lent: () => lentBytes, isPaused: () => isPaused, drain: () => drained() }
}

/** Collects the bytes that a relay would receive from `leg`, and returns each buffer at once. */
export function viewerOf(leg: HypervisorSocket) {
  let seen: Buffer = Buffer.alloc(0)
  let drains = 0
  leg.onDrain(() => {
    drains += 1
  })
  leg.take((bytes) => {
    seen = Buffer.concat([seen, bytes])
    leg.giveBack(bytes)
    return true
  })
  return { seen: () => seen, drains: () => drains, write: (bytes: Uint8Array) => leg.write(bytes), closed: leg.closed }
}

/** Splits `bytes`. @param cuts the offsets, modulo the length */
export function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.map((at) => at % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
}
