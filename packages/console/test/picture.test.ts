import { decodePng as decodeElsewhere, encodePng as encodeElsewhere } from '@oriel/testkit'
import { encode } from 'fast-png'
import { describe, expect, it } from 'vitest'
import { decodePng, encodePng } from '../src/index.ts'
import { pixels, rowsOf } from './parts/server.ts'

const image = {
  width: 3,
  height: 2,
  rgba: new Uint8Array(pixels('rgbwop')).map((byte, i) => (i % 4 === 3 ? 255 : byte)),
}

describe('a PNG of a screen', () => {
  it('is read by another decoder, and by its own', () => {
    const { width, height, data } = decodeElsewhere(encodePng(image))
    expect({ width, height }).toEqual({ width: 3, height: 2 })
    expect([...data]).toEqual([...image.rgba].filter((_, i) => i % 4 !== 3))
    expect(rowsOf(decodePng(encodePng(image)))).toEqual(['rgb', 'wop'])
  })
})

describe('a PNG to wait for', () => {
  it('may come from another encoder, and keeps its transparency', () => {
    const rgb = image.rgba.filter((_, i) => i % 4 !== 3)
    expect(rowsOf(decodePng(encodeElsewhere({ width: 3, height: 2, data: rgb })))).toEqual(['rgb', 'wop'])
    const clear = encode({ width: 1, height: 1, channels: 4, depth: 8, data: Uint8Array.of(1, 2, 3, 0) })
    expect([...decodePng(clear).rgba]).toEqual([1, 2, 3, 0])
  })

  it.each([1, 2, 4, 8] as const)('may have a palette of %i bits', (depth) => {
    const palette = [
      [255, 0, 0],
      [0, 255, 0],
    ]
    const perByte = 8 / depth
    // Each row of ten pixels, red and green in turn, begins with a new byte.
    const row = Array.from({ length: Math.ceil(10 / perByte) }, (_, byte) =>
      Array.from({ length: perByte }, (_, i) => (byte * perByte + i) % 2).reduce(
        (bits, bit) => (bits << depth) | bit,
        0,
      ),
    )
    const data = Uint8Array.from([...row, ...row])
    const png = encode({ width: 10, height: 2, channels: 1, depth, data, palette })
    expect(rowsOf(decodePng(png))).toEqual(['rgrgrgrgrg', 'rgrgrgrgrg'])
  })

  it.each([
    [1, 1, [0b10100000], [255, 0, 255]],
    [1, 8, [255, 128, 0], [255, 128, 0]],
    [2, 8, [255, 9, 128, 9, 0, 9], [255, 128, 0]],
  ] as const)('may be gray, with %i channels of %i bits', (channels, depth, data, grays) => {
    const png = encode({ width: 3, height: 1, channels, depth, data: Uint8Array.from(data) })
    expect([...decodePng(png).rgba].filter((_, i) => i % 4 === 0)).toEqual(grays)
  })

  it('must not have 16 bits per channel, or be another format', () => {
    const deep = encode({ width: 1, height: 1, channels: 3, depth: 16, data: Uint16Array.of(1, 2, 3) })
    expect(() => decodePng(deep)).toThrow('16 bits')
    expect(() => decodePng(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9))).toThrow('The picture is not a whole PNG: ')
  })

  it('is refused for a screen without pixels', () => {
    const empty = { width: 0, height: 0, rgba: new Uint8Array() }
    expect(() => encodePng(empty)).toThrow('A screen of 0x0 pixels has no picture')
  })
})
