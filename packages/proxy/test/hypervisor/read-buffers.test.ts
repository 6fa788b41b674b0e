import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_READ_BYTES, MIN_READ_BYTES, ReadBuffers } from '../../src/hypervisor/read-buffers.ts'

describe('the read buffers of a socket', () => {
  it('grow from 512 bytes to 512 KiB while reads fill them, and shrink again', () => {
    const buffers = new ReadBuffers()
    const sizes = []
    for (const share of [1, 1, 1, 1, 1, 0.5, 0.1, 0.1, 0.1]) {
      const buffer = buffers.next()
      sizes.push(buffer.length / 1024)
      buffers.giveBack(buffers.lend(buffer, buffer.length * share))
    }
    expect(sizes).toEqual([0.5, 2, 8, 32, 128, 512, 512, 128, 32])
  })

  it('are never handed out while lent, and count by their capacity', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(100), fc.boolean()), { maxLength: 200 }), (steps) => {
        const buffers = new ReadBuffers()
        const lent: Buffer[] = []
        for (const [share, back] of steps) {
          const buffer = buffers.next()
          expect(lent.map((bytes) => bytes.buffer)).not.toContain(buffer.buffer)
          expect(buffer.length).toBeGreaterThanOrEqual(MIN_READ_BYTES)
          expect(buffer.length).toBeLessThanOrEqual(MAX_READ_BYTES)
          lent.push(buffers.lend(buffer, Math.ceil((buffer.length * share) / 100)))
          if (back) buffers.giveBack(lent.shift()!)
          expect(buffers.lentBytes).toBe(lent.reduce((sum, bytes) => sum + bytes.buffer.byteLength, 0))
        }
      }),
    )
  })

  it('are reused after they were returned', () => {
    const buffers = new ReadBuffers()
    const first = buffers.next()
    buffers.giveBack(buffers.lend(first, MIN_READ_BYTES / 2))
    expect(buffers.next().buffer).toBe(first.buffer)
  })
})
