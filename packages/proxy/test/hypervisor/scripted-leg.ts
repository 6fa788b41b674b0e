/** A leg to a hypervisor whose other side is a test. */
import type { HypervisorSocket, TakeBytes } from '../../src/hypervisor/leg.ts'
import { allocatePayload, HEADROOM_BYTES, hasHeadroom } from '../../src/hypervisor/read-buffers.ts'

/** A leg whose other side is a test. Its bytes are lent, as those of a socket are. */
export function scriptedLeg() {
  const { promise: closed, resolve: end } = Promise.withResolvers<Error | undefined>()
  const written: Buffer[] = []
  let taker: TakeBytes = () => false
  const lent: Buffer[] = []
  const lentBytes = () => lent.reduce((sum, { length }) => sum + length, 0)
  let isPaused = true
  let drained = () => {}
  const leg: HypervisorSocket = {
    take: (bytes) => {
      taker = bytes
      isPaused = false
    },
    giveBack: (bytes) => {
      // Decorators may have written behind the bytes, into the memory that the read left unused.
      const at = lent.findIndex(({ buffer, byteOffset }) => buffer === bytes.buffer && byteOffset === bytes.byteOffset)
      if (at < 0) throw new Error('a decorator gave bytes back that were not lent')
      // The next read overwrites them.
      for (const returned of lent.splice(at, 1)) returned.fill(0xa5)
    },
    get lentBytes() {
      return lentBytes()
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
  const say = (said: Buffer) => {
    const bytes = inOwnMemory(said)
    lent.push(bytes)
    if (!taker(bytes)) isPaused = true
  }
  const heard = () => Buffer.concat(written)
  return { leg, say, end, heard, lent: lentBytes, isPaused: () => isPaused, drain: () => drained() }
}

/** Copies `bytes`, with the same room before and behind them. */
function inOwnMemory(bytes: Buffer): Buffer {
  if (!hasHeadroom(bytes)) return Buffer.from(bytes)
  const memory = allocatePayload(bytes.buffer.byteLength - HEADROOM_BYTES)
  bytes.copy(memory)
  return memory.subarray(0, bytes.length)
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

/** Copies `bytes` into memory such as a socket's read buffer: with headroom, and `spare` bytes that the read left unused. */
export function asRead(bytes: Buffer, spare: number): Buffer {
  const buffer = allocatePayload(bytes.length + spare)
  bytes.copy(buffer)
  return buffer.subarray(0, bytes.length)
}

/** Splits `bytes`. @param cuts the offsets, modulo the length */
export function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.map((at) => at % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
}
