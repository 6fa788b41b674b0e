import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  MAX_READ_BYTES,
  MAX_UNPROVEN_READ_BYTES,
  MIN_READ_BYTES,
  PROVING_BYTES,
  ReadBuffers,
} from '../../src/hypervisor/read-buffers.ts'

describe('the read buffers of a socket', () => {
  it('grow from 512 bytes while reads fill them, up to 32 KiB until 16 MiB were returned and then up to 512 KiB, and shrink again', () => {
    const buffers = new ReadBuffers()
    const sizesOf = (shares: readonly number[]) =>
      shares.map((share) => {
        const buffer = buffers.next()
        const { length } = buffer
        buffers.giveBack(buffers.lend(buffer, length * share))
        return length / 1024
      })
    expect(sizesOf([1, 1, 1, 1, 1])).toEqual([0.5, 2, 8, 32, 32])
    const first = (0.5 + 2 + 8 + 32 + 32) * 1024
    const untilProven = Math.ceil((PROVING_BYTES - first) / MAX_UNPROVEN_READ_BYTES)
    expect(new Set(sizesOf(Array(untilProven).fill(1)))).toEqual(new Set([32]))
    expect(sizesOf([1, 1, 1, 0.5, 0.1, 0.1, 0.1])).toEqual([32, 128, 512, 512, 512, 128, 32])
  })

  it('stay at 32 KiB while what was read is not returned', () => {
    const buffers = new ReadBuffers()
    const lend = () => buffers.lend(buffers.next(), buffers.next().length)
    for (let bytes = 0; bytes < 2 * PROVING_BYTES; bytes += lend().length);
    expect(lend()).toHaveLength(MAX_UNPROVEN_READ_BYTES)
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
