import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasHeadroom } from '../../src/hypervisor/read-buffers.ts'
import { Ring } from '../../src/serial/ring.ts'

const NOTHING = Buffer.alloc(0)

function ringOf(maxBytes: number, ...pieces: string[]): Ring {
  const ring = new Ring(maxBytes)
  for (const piece of pieces) ring.push(Buffer.from(piece))
  return ring
}

describe('the ring of a serial port', () => {
  it('has the last bytes of any output, from any position that it keeps', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), pieces, fc.nat(), (maxBytes, output, at) => {
        const ring = new Ring(maxBytes)
        for (const piece of output) ring.push(piece)
        const all = Buffer.concat(output)
        expect(ring.end).toBe(all.length)
        expect(ring.start).toBe(Math.max(0, all.length - maxBytes))
        const from = ring.start + (at % (ring.end - ring.start + 1))
        expect(ring.copy(from, NOTHING).equals(all.subarray(from))).toBe(true)
      }),
    )
  })

  it('is the same if pieces that replace all output are copied later, and changed once it does not hold them', () => {
    const pieces = fc.array(fc.record({ size: fc.nat(60), looks: fc.boolean() }), { maxLength: 30 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), pieces, (maxBytes, script) => {
        const ring = new Ring(maxBytes)
        let all: Buffer = Buffer.alloc(0)
        const lent: Buffer[] = []
        for (const { size, looks } of script) {
          const piece = Buffer.from(Array.from({ length: size }, (_, i) => (all.length + i) % 251))
          all = Buffer.concat([all, piece])
          lent.push(piece)
          ring.append(piece)
          if (looks) expect(ring.copy(ring.start, NOTHING).equals(all.subarray(ring.start))).toBe(true)
          for (const each of lent) if (!ring.holds(each)) each.fill(0xff)
        }
        expect(ring.copy(ring.start, NOTHING).equals(all.subarray(ring.start))).toBe(true)
      }),
    )
  })

  it('shows all output while none is cut off, and else whole lines', () => {
    const lines = fc.array(fc.stringMatching(/^[a-z]{0,6}\n?$/), { maxLength: 30 })
    const bytes = fc.integer({ min: 1, max: 32 })
    fc.assert(
      fc.property(bytes, bytes, lines, (maxBytes, shown, output) => {
        const all = output.join('')
        const from = Math.max(0, all.length - Math.min(maxBytes, shown))
        const lineEnd = from === 0 ? -1 : all.indexOf('\n', from)
        expect(ringOf(maxBytes, ...output).lastLines(shown)).toBe(lineEnd < 0 ? from : lineEnd + 1)
      }),
    )
  })

  it('puts a line before a copy, in memory with room for a header', () => {
    const copy = ringOf(4, 'abcdef').copy(3, Buffer.from('> '))
    expect(String(copy)).toBe('> def')
    expect(hasHeadroom(copy)).toBe(true)
  })
})
