/**
 * Builds binary WebSocket frames of a server (RFC 6455 section 5.2) in place: writes the header into the memory before the
 * payload, which is reserved for it, so that the frame is one buffer and needs one write.
 */
import { HEADROOM_BYTES, hasHeadroom } from '../hypervisor/read-buffers.ts'

const FIN_BINARY = 0x82

/** Returns the frame around a payload in the memory of `allocatePayload`; `undefined` for any other payload. */
export function framed(payload: Buffer): Buffer | undefined {
  if (!hasHeadroom(payload)) return undefined
  const { length } = payload
  const headerBytes = length < 126 ? 2 : length < 0x1_0000 ? 4 : HEADROOM_BYTES
  const frame = Buffer.from(payload.buffer as ArrayBuffer, HEADROOM_BYTES - headerBytes, headerBytes + length)
  frame[0] = FIN_BINARY
  if (headerBytes === 2) frame[1] = length
  else writeLength(frame, length, headerBytes)
  return frame
}

function writeLength(frame: Buffer, length: number, headerBytes: number): void {
  frame[1] = headerBytes === 4 ? 126 : 127
  if (headerBytes === HEADROOM_BYTES) frame.writeUInt32BE(0, 2)
  frame.writeUIntBE(length, headerBytes === 4 ? 2 : 6, headerBytes === 4 ? 2 : 4)
}
