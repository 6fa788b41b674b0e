/**
 * The read buffers of one hypervisor socket: small while the console idles, large while reads fill them. Few large reads
 * without a copy make the relay fast. A buffer is lent to the receiver of the bytes, and is reused only after the receiver
 * has returned it. Sockets do not share buffers, so that no mistake here can mix two consoles.
 */

/** Room before each payload for a WebSocket frame's header: two bytes and a length of eight, without a mask. */
export const HEADROOM_BYTES = 10

const withHeadroom = new WeakSet<ArrayBufferLike>()

/** Allocates memory for a payload of up to `size` bytes, with room for a frame's header before it. */
export function allocatePayload(size: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(HEADROOM_BYTES + size)
  withHeadroom.add(memory.buffer)
  return memory.subarray(HEADROOM_BYTES)
}

/** Whether `payload` is the start of memory from {@link allocatePayload}, so that a header may be written before it. */
export const hasHeadroom = (payload: Buffer): boolean =>
  payload.byteOffset === HEADROOM_BYTES && withHeadroom.has(payload.buffer)

/** The update of a typed key fits. An idle session keeps one of these for reads, or two if writes to its client complete late, as with TLS. */
export const MIN_READ_BYTES = 512
export const MAX_READ_BYTES = 512 * 1024
/**
 * More than the system's buffers hold of a connection whose client never reads: by default Linux sends up to 4 MiB ahead, and
 * receives up to 6 MiB. Measured were 8 MiB. A receiver that has returned less may pass the bytes on to such a client.
 */
export const PROVING_BYTES = 16 * 1024 * 1024
/** The largest read for such a receiver. */
export const MAX_UNPROVEN_READ_BYTES = 32 * 1024
/** The maximum number of buffers kept for the next reads: while a write waits, the relay uses two. */
const MAX_SPARES = 2

export class ReadBuffers {
  readonly #limit: () => number
  #size = MIN_READ_BYTES
  #spare: Buffer[] = []
  #lentBytes = 0
  #returnedBytes = 0

  /** @param limit the current limit on the size of a read, at least `MIN_READ_BYTES`. Default: `MAX_READ_BYTES` */
  constructor(limit: () => number = () => MAX_READ_BYTES) {
    this.#limit = limit
  }

  /** The size of all lent buffers, including the part that no read has filled. */
  get lentBytes(): number {
    return this.#lentBytes
  }

  /** Returns a buffer for the next read, preferably the last returned one, which is still in the processor's cache. */
  next(): Buffer {
    this.#resize(this.#size)
    return this.#spare.pop() ?? allocatePayload(this.#size)
  }

  /** Lends the first `length` bytes of `buffer` after a read. */
  lend(buffer: Uint8Array, length: number): Buffer {
    this.#lentBytes += buffer.buffer.byteLength
    this.#resize(sizeAfter(length, buffer.length))
    return Buffer.from(buffer.buffer as ArrayBuffer, HEADROOM_BYTES, length)
  }

  /** Takes lent bytes back. Keeps the buffer if its size is current: allocating a new one costs more than the read itself. */
  giveBack(bytes: Buffer): void {
    this.#lentBytes -= bytes.buffer.byteLength
    this.#returnedBytes += bytes.length
    if (bytes.buffer.byteLength === HEADROOM_BYTES + this.#size && this.#spare.length < MAX_SPARES) {
      this.#spare.push(Buffer.from(bytes.buffer as ArrayBuffer, HEADROOM_BYTES))
    }
  }

  #resize(wanted: number): void {
    const size = Math.min(wanted, this.#limit(), maxReadAfter(this.#returnedBytes))
    if (size === this.#size) return
    this.#size = size
    this.#spare = []
  }
}

/** The largest read for a receiver that has returned so many bytes. */
const maxReadAfter = (returnedBytes: number): number =>
  returnedBytes < PROVING_BYTES ? MAX_UNPROVEN_READ_BYTES : MAX_READ_BYTES

/** Returns four times the size after a read that filled its buffer, and a quarter after one that left most of it empty. */
function sizeAfter(read: number, capacity: number): number {
  if (read === capacity) return Math.min(capacity * 4, MAX_READ_BYTES)
  return read < capacity / 4 ? Math.max(capacity / 4, MIN_READ_BYTES) : capacity
}
