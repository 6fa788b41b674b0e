import { expect, test } from 'vitest'
import { mask, unmask } from '../mask-words.ts'

const KEY = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d)
/** On both sides of the length from which words are used. */
const LENGTHS = [0, 1, 2, 3, 4, 5, 125, 509, 510, 511, 512, 513, 514, 515, 516, 517, 4093, 4096]
const STARTS = [0, 1, 2, 3, 4, 5, 6, 7]
const cases = LENGTHS.flatMap((length) => STARTS.map((start) => [length, start] as const))

test.each(cases)(
  'unmask changes each of %i bytes at address %i as RFC 6455 demands, and no others',
  (length, start) => {
    const memory = bytes(start + length + 8)
    const expected = memory.map((byte, at) =>
      at >= start && at < start + length ? byte ^ KEY[(at - start) % 4]! : byte,
    )
    unmask(memory.subarray(start, start + length), KEY)
    expect(Buffer.compare(memory, expected)).toBe(0)
  },
)

test.each(cases)('mask writes %i masked bytes at offset %i, and leaves the source as it is', (length, start) => {
  const source = bytes(length + 3)
  const output = new Uint8Array(start + length + 8)
  mask(source, KEY, output, start, length)
  const expected = new Uint8Array(start + length + 8)
  for (let at = 0; at < length; at += 1) expected[start + at] = source[at]! ^ KEY[at % 4]!
  expect(Buffer.compare(output, expected)).toBe(0)
  expect(Buffer.compare(source, bytes(length + 3))).toBe(0)
})

const bytes = (length: number) => Uint8Array.from({ length }, (_, at) => (at * 31 + 7) & 0xff)
