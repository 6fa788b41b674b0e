/**
 * The buffers into which one hypervisor socket is read: small while the console idles, large while reads fill them.
 * Few large reads without a copy make the relay fast. A buffer is lent to the taker of the bytes, and is not read into
 * until the taker gives it back. Each socket has its own buffers, so that no mistake here can mix two consoles.
 */

/** Room before each payload for the head of a WebSocket frame: two bytes and a length of eight, without a mask. */
export const HEADROOM_BYTES = 10

const withHeadroom = new WeakSet<ArrayBufferLike>()

/** Memory for a payload of up to `size` bytes, with room for the head before it. */
export function allocatePayload(size: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(HEADROOM_BYTES + size)
  withHeadroom.add(memory.buffer)
  return memory.subarray(HEADROOM_BYTES)
}

/** Whether `payload` begins where {@link allocatePayload} let it begin, so that the bytes before it may be written. */
export const hasHeadroom = (payload: Buffer): boolean =>
  payload.byteOffset === HEADROOM_BYTES && withHeadroom.has(payload.buffer)

export const MIN_READ_BYTES = 2 * 1024
export const MAX_READ_BYTES = 512 * 1024
/** Buffers kept for the next reads: as many as the relay has under way. */
const MAX_SPARES = 2

export class ReadBuffers {
  readonly #limit: () => number
  #size = MIN_READ_BYTES
  #spare: Buffer[] = []
  #lentBytes = 0

  /** @param limit the current limit on the size of a read, at least `MIN_READ_BYTES`. Default: `MAX_READ_BYTES` */
  constructor(limit: () => number = () => MAX_READ_BYTES) {
    this.#limit = limit
  }

  /** The size of all lent buffers, including the part that no read has filled. */
  get lentBytes(): number {
    return this.#lentBytes
  }

  /** A buffer for the next read: the one given back last, which the processor's cache still holds. */
  next(): Buffer {
    this.#resize(Math.min(this.#size, this.#limit()))
    return this.#spare.pop() ?? allocatePayload(this.#size)
  }

  /** Lends the first `length` bytes of `buffer`, into which they were read. */
  lend(buffer: Uint8Array, length: number): Buffer {
    this.#lentBytes += buffer.buffer.byteLength
    this.#adapt(length, buffer.length)
    return Buffer.from(buffer.buffer as ArrayBuffer, HEADROOM_BYTES, length)
  }

  /** Takes lent bytes back. While the socket is busy, buffers are kept: new memory costs more than the read itself. */
  giveBack(bytes: Buffer): void {
    this.#lentBytes -= bytes.buffer.byteLength
    if (bytes.buffer.byteLength === HEADROOM_BYTES + this.#size && this.#spare.length < MAX_SPARES) {
      this.#spare.push(Buffer.from(bytes.buffer as ArrayBuffer, HEADROOM_BYTES))
    }
  }

  #adapt(read: number, capacity: number): void {
    this.#resize(sizeAfter(read, capacity))
  }

  #resize(size: number): void {
    if (size === this.#size) return
    this.#size = size
    this.#spare = []
  }
}

/** Four times as large after a read that filled its buffer, a fourth after one that left most of it empty. */
function sizeAfter(read: number, capacity: number): number {
  if (read === capacity) return Math.min(capacity * 4, MAX_READ_BYTES)
  return read < capacity / 4 ? Math.max(capacity / 4, MIN_READ_BYTES) : capacity
}
