/**
 * Binary WebSocket frames of a server (RFC 6455 section 5.2) made in place: the head is written before the payload, into
 * memory that is kept free for it, so that a frame is one piece and leaves in one write.
 */
import { HEADROOM_BYTES, hasHeadroom } from '../hypervisor/read-buffers.ts'

const FIN_BINARY = 0x82

/** Returns the frame around a payload in the memory of `allocatePayload`; `undefined` for any other payload. */
export function framed(payload: Buffer): Buffer | undefined {
  if (!hasHeadroom(payload)) return undefined
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
