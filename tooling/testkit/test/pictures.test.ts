import { expect, test } from 'vitest'
import { decodePng, differingShare, encodePng, parsePpm } from '../src/index.ts'

const twoPixels = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 250, 251, 252) }

test('parsePpm reads a PPM with and without comments', () => {
  expect(parsePpm(Buffer.from('P6\n# by hand\n2 1\n255\nabcdef'))).toEqual({
    width: 2,
    height: 1,
    data: Buffer.from('abcdef'),
  })
})

test.each(['P5\n2 1\n255\nabcdef', 'P6\n2 1\n65535\nabcdef', 'P6\n2 1\n255\nabcde', ''])(
  'parsePpm throws for %j',
  (text) => {
    expect(() => parsePpm(Buffer.from(text))).toThrow(Error)
  },
)

test('decodePng reads the picture that encodePng wrote', () => {
  expect(decodePng(encodePng(twoPixels))).toEqual(twoPixels)
})

test('differingShare counts pixels, not channels, beyond the tolerance', () => {
  const other = { ...twoPixels, data: Uint8Array.of(1, 2, 3, 245, 246, 252) }
  expect(differingShare(twoPixels, other)).toBe(0.5)
  expect(differingShare(twoPixels, other, 4)).toBe(0.5)
  expect(differingShare(twoPixels, other, 5)).toBe(0)
})

test('differingShare throws for pictures of different sizes', () => {
  const tall = { ...twoPixels, width: 1, height: 2 }
  expect(() => differingShare(twoPixels, tall)).toThrow('Sizes differ: 2x1 and 1x2')
})
