/**
 * Binary WebSocket frames of a server (RFC 6455 section 5.2) made in place: the head is written before the payload, into
 * memory that is kept free for it, so that a frame is one piece and leaves in one write.
 */

/** The longest head: two bytes, and a length of eight. A server masks nothing. */
export const HEADROOM_BYTES = 10

const FIN_BINARY = 0x82
const roomy = new WeakSet<ArrayBufferLike>()

/** Memory for a payload of up to `size` bytes, with room for the head before it. */
export function allocatePayload(size: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(HEADROOM_BYTES + size)
  roomy.add(memory.buffer)
  return memory.subarray(HEADROOM_BYTES)
}

/** The frame around a payload that begins where `allocatePayload` let it begin; `undefined` for any other. */
export function framed(payload: Buffer): Buffer | undefined {
  if (payload.byteOffset !== HEADROOM_BYTES || !roomy.has(payload.buffer)) return undefined
  const { length } = payload
  const headBytes = length < 126 ? 2 : length < 0x1_0000 ? 4 : HEADROOM_BYTES
  const frame = Buffer.from(payload.buffer as ArrayBuffer, HEADROOM_BYTES - headBytes, headBytes + length)
  frame[0] = FIN_BINARY
  if (headBytes === 2) frame[1] = length
  else writeLength(frame, length, headBytes)
  return frame
}

function writeLength(frame: Buffer, length: number, headBytes: number): void {
  frame[1] = headBytes === 4 ? 126 : 127
  if (headBytes === HEADROOM_BYTES) frame.writeUInt32BE(0, 2)
  frame.writeUIntBE(length, headBytes === 4 ? 2 : 6, headBytes === 4 ? 2 : 4)
}
