/** What a real QEMU sent, whole, in pieces, and damaged. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { observeAllocations } from './parts/allocations.ts'

const allocations = observeAllocations()
const { ProtocolError } = await import('../src/index.ts')
const { createClient, hello, rectangle, u32, update } = await import('./parts/server.ts')

/** The largest screen that a damaged stream may ask for. Larger than that of the recordings. */
const MAX_PIXELS = 1 << 19
/** 4 KiB of compressed data inflate to 1,032 times as much at most, and the inflater doubles its output when it is full. */
const MAX_INFLATED_BYTES = 9 << 20
const PICTURE = '64ba2370ebcc110e45085a8c0ee5c25db8bcf5f6abbbc4f5dbca8a3caea2b594'

const recordings = await Promise.all(
  ['hextile', 'tight', 'zrle'].map(async (name) => ({
    name,
    bytes: await readFile(join(import.meta.dirname, `fixtures/qemu-${name}.rfb`)),
  })),
)

function pictureOf(bytes: Uint8Array, cuts: readonly number[]): string {
  const played = createClient({ maxPixels: MAX_PIXELS })
  played.receive(bytes, ...cuts)
  expect(played.framebuffer).toMatchObject({ width: 720, height: 400 })
  return createHash('sha256').update(played.framebuffer.rgba).digest('hex')
}

describe.each(recordings)('a recording with $name', ({ bytes }) => {
  it('gives the same picture whole and byte by byte', () => {
    expect(pictureOf(bytes, [])).toBe(PICTURE)
    expect(
      pictureOf(
        bytes,
        Array.from(bytes, (_, i) => i),
      ),
    ).toBe(PICTURE)
  })

  it('gives the same picture in pieces of any size', () => {
    const cuts = fc.array(fc.nat(bytes.length), { maxLength: 20 }).map((list) => list.toSorted((a, b) => a - b))
    fc.assert(
      fc.property(cuts, (at) => {
        expect(pictureOf(bytes, at)).toBe(PICTURE)
      }),
      { numRuns: 10 },
    )
  })

  it('fails with a ProtocolError or not at all after any damage, within bounded memory', () => {
    const damage = fc.record({ at: fc.nat(bytes.length - 1), flip: fc.integer({ min: 1, max: 255 }) })
    allocations.reset()
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), fc.nat(bytes.length), (list, cut) => {
        const damaged = Uint8Array.from(bytes)
        for (const { at, flip } of list) damaged[at]! ^= flip
        expect(errorOf(damaged, cut)).toSatisfy((error) => error === undefined || error instanceof ProtocolError)
      }),
      { numRuns: 100 },
    )
    expect(allocations.largestBytes).toBeLessThanOrEqual(Math.max(MAX_PIXELS * 4, MAX_INFLATED_BYTES))
  })

  it('fails with a ProtocolError or not at all after damage to one byte in a hundred places', () => {
    const step = Math.ceil(bytes.length / 100)
    for (let at = 0; at < bytes.length; at += step) {
      const damaged = Uint8Array.from(bytes)
      damaged[at]! ^= 0x80
      expect(errorOf(damaged, at), `at ${at}`).toSatisfy(
        (error) => error === undefined || error instanceof ProtocolError,
      )
    }
  })
})

it('takes little memory for data that would inflate to 64 mebibytes', () => {
  const bomb = deflateSync(Buffer.alloc(1 << 26))
  const played = createClient()
  played.receive(hello(64, 64))
  allocations.reset()
  const attack = update([rectangle(16, [0, 0, 64, 64], u32(bomb.length), bomb)])
  expect(() => played.receive(attack, 1 << 15, 1 << 16)).toThrow('more than its pixels')
  expect(allocations.largestBytes).toBeLessThanOrEqual(Math.max(attack.length, MAX_INFLATED_BYTES))
})

it('takes no more memory than its limit for a screen that changes its size all the time', () => {
  const played = createClient({ maxPixels: 4096 * 4096 })
  played.receive(hello(4096, 4096))
  const memory = played.framebuffer.rgba.buffer
  allocations.reset()
  for (const size of [4095, 1, 4096, 640, 4094]) {
    played.receive(update([rectangle(-223, [0, 0, size, size])]))
    expect(played.framebuffer.rgba).toMatchObject({ buffer: memory, byteLength: size * size * 4 })
  }
  expect(allocations.largestBytes).toBeLessThan(1 << 16)
})

it('takes no memory for a screen, a name, a reason or a clipboard that is announced as too large', () => {
  allocations.reset()
  expect(() => createClient().receive(hello(65_535, 65_535))).toThrow('maxPixels')
  const played = createClient()
  played.receive(hello(2, 2))
  played.receive(Buffer.concat([Buffer.of(3, 0, 0, 0), u32(0x7fffffff)]))
  expect(allocations.largestBytes).toBeLessThanOrEqual(1 << 20)
})

function errorOf(bytes: Uint8Array, cut: number): unknown {
  try {
    createClient({ maxPixels: MAX_PIXELS }).receive(bytes, cut)
    return undefined
  } catch (error) {
    return error
  }
}
