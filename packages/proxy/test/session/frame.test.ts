import { describe, expect, it } from 'vitest'
import { allocatePayload, HEADROOM_BYTES } from '../../src/hypervisor/read-buffers.ts'
import { framed } from '../../src/session/frame.ts'

describe('a frame that is built in place', () => {
  // RFC 6455 section 5.2: FIN and opcode 2, no mask, and the length in 7, 7+16 or 7+64 bits.
  it.each([
    [0, '8200'],
    [125, '827d'],
    [126, '827e007e'],
    [65_535, '827effff'],
    [65_536, '827f0000000000010000'],
    [262_144, '827f0000000000040000'],
  ])('of %d bytes has the header %s and an unchanged payload', (length, head) => {
    const payload = allocatePayload(262_144).subarray(0, length).fill(0xa5)
    const frame = framed(payload)!
    expect(frame.buffer).toBe(payload.buffer)
    expect(frame.subarray(0, -length || undefined).toString('hex')).toBe(head)
    expect(frame.subarray(head.length / 2).equals(Buffer.alloc(length, 0xa5))).toBe(true)
  })

  it.each([
    ['memory that was allocated elsewhere', Buffer.alloc(64).subarray(HEADROOM_BYTES)],
    ['a payload with an offset', allocatePayload(64).subarray(1)],
  ])('is not built before %s', (_, payload) => {
    const memory = Buffer.from(payload.buffer as ArrayBuffer)
    const before = memory.toString('hex')
    expect(framed(payload)).toBeUndefined()
    expect(memory.toString('hex')).toBe(before)
  })
})
