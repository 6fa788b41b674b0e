import { readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ServerMessageParser } from '../../src/rfb/server-message-parser.ts'
import { pixelFormatAt } from '../../src/rfb/wire/pixel-format.ts'
import { rectangles } from '../../src/rfb/wire/rectangles.ts'
import { cut } from '../hypervisor/scripted-leg.ts'
import { i32, rectangle, serverInit, u16, u32, update } from './server-stream.ts'

const streams = new URL('streams/', import.meta.url)
const recorded = readdirSync(streams)
  .filter((name) => name.endsWith('.gz'))
  .map((name) => [name.replace('.rfb.gz', ''), gunzipSync(readFileSync(new URL(name, streams)))] as const)

/** Parses pieces, each in memory that is reused afterwards. Returns the offsets at which messages end, and the state after the last byte. */
function parsed(pieces: readonly Buffer[], parser = new ServerMessageParser()) {
  const ends: number[] = []
  const types: (number | undefined)[] = []
  let before = 0
  for (const given of pieces) {
    const piece = Buffer.from(given)
    for (let at = 0; at < piece.length; ) {
      const end = parser.advance(piece, at)
      expect(end).toBeGreaterThan(at)
      expect(end).toBeLessThanOrEqual(piece.length)
      at = end
      if (parser.state !== 'between') continue
      ends.push(before + at)
      types.push(parser.type)
    }
    before += piece.length
    piece.fill(0xa5)
  }
  return { ends, types, state: parser.state }
}

const init = serverInit('web-1')
/** The bodies of rectangles of 20 × 17 pixels in the format of `serverInit`, by their encoding. */
const [WIDTH, HEIGHT] = [20, 17]
const jpeg = Buffer.concat([
  Buffer.of(0xff, 0xd8, 0xff, 0xdb, 0, 4, 1, 2, 0xff, 0xda, 0, 3, 0),
  Buffer.of(9, 0xff, 0, 7, 0xff, 0xd3, 5, 0xff, 0xd9),
])
const bodies: readonly (readonly [name: string, encoding: number, body: Buffer])[] = [
  ['Raw', 0, Buffer.alloc(WIDTH * HEIGHT * 4, 7)],
  ['CopyRect', 1, Buffer.of(0, 1, 0, 2)],
  ['RRE', 2, Buffer.concat([u32(3), Buffer.alloc(4 + 3 * 12, 9)])],
  ['CoRRE', 4, Buffer.concat([u32(3), Buffer.alloc(4 + 3 * 8, 9)])],
  [
    'Hextile',
    5,
    Buffer.concat([
      Buffer.of(1),
      Buffer.alloc(16 * 16 * 4, 3),
      Buffer.of(2 | 4 | 8),
      Buffer.alloc(8, 5),
      Buffer.of(2, 0, 0, 0, 0),
      Buffer.of(8 | 16, 2),
      Buffer.alloc(2 * 6, 6),
      Buffer.of(0),
    ]),
  ],
  ['zlib', 6, Buffer.concat([u32(300), Buffer.alloc(300)])],
  ['Tight, filled', 7, Buffer.of(0x80, 1, 2, 3)],
  ['Tight, JPEG', 7, Buffer.concat([Buffer.of(0x90, 0xac, 0x02), Buffer.alloc(300)])],
  ['Tight, copied', 7, Buffer.concat([Buffer.of(0x0f, 0x05), Buffer.alloc(5)])],
  [
    'Tight, palette of two',
    7,
    Buffer.concat([Buffer.of(0x40, 1, 1), Buffer.alloc(6), Buffer.of(0x81, 0x01), Buffer.alloc(129)]),
  ],
  [
    'Tight, palette of five',
    7,
    Buffer.concat([Buffer.of(0x70, 1, 4), Buffer.alloc(15), Buffer.of(6), Buffer.alloc(6)]),
  ],
  ['Tight, gradient', 7, Buffer.concat([Buffer.of(0x60, 2, 0x80, 0x80, 0x01), Buffer.alloc(1 << 14)])],
  ['TightPNG', -260, Buffer.concat([Buffer.of(0xa0, 7), Buffer.alloc(7)])],
  ['ZRLE', 16, Buffer.concat([u32(70_000), Buffer.alloc(70_000)])],
  ['JPEG', 21, jpeg],
  ['H.264', 50, Buffer.concat([u32(20), u32(1), Buffer.alloc(20)])],
  ['DesktopSize', -223, Buffer.alloc(0)],
  ['Cursor', -239, Buffer.alloc(WIDTH * HEIGHT * 4 + 3 * HEIGHT)],
  ['XCursor', -240, Buffer.alloc(6 + 2 * 3 * HEIGHT)],
  ['the pointer motion of QEMU', -257, Buffer.alloc(0)],
  ['the keys of QEMU', -258, Buffer.alloc(0)],
  ['the audio of QEMU', -259, Buffer.alloc(0)],
  ['the LEDs of QEMU', -261, Buffer.of(3)],
  ['DesktopName', -307, Buffer.concat([u32(5), Buffer.from('web-2')])],
  ['ExtendedDesktopSize', -308, Buffer.concat([Buffer.of(2, 0, 0, 0), Buffer.alloc(32)])],
  ['extended mouse buttons', -316, Buffer.alloc(0)],
  ['the masked cursor of VMware', 0x574d5664, Buffer.concat([Buffer.of(0, 0), Buffer.alloc(WIDTH * HEIGHT * 8)])],
  ['the alpha cursor of VMware', 0x574d5664, Buffer.concat([Buffer.of(1, 0), Buffer.alloc(WIDTH * HEIGHT * 4)])],
]
const messages: readonly (readonly [name: string, message: Buffer])[] = [
  ...bodies.map(([name, encoding, body]) => [name, update(rectangle(encoding, body, WIDTH, HEIGHT))] as const),
  [
    'an update that ends early',
    Buffer.concat([Buffer.of(0, 0, 0xff, 0xff), rectangle(1, u32(0)), rectangle(-224, Buffer.alloc(0))]),
  ],
  ['an empty update', Buffer.of(0, 0, 0, 0)],
  ['SetColourMapEntries', Buffer.concat([Buffer.of(1, 0, 0, 0, 0, 2), Buffer.alloc(12)])],
  ['Bell', Buffer.of(2)],
  ['ServerCutText', Buffer.concat([Buffer.of(3, 0, 0, 0), u32(4), Buffer.from('text')])],
  ['the extended clipboard', Buffer.concat([Buffer.of(3, 0, 0, 0), i32(-8), Buffer.alloc(8)])],
  ['EndOfContinuousUpdates', Buffer.of(150)],
  ['ServerFence', Buffer.concat([Buffer.of(248, 0, 0, 0), u32(1), Buffer.of(3, 1, 2, 3)])],
  ['xvp', Buffer.of(250, 0, 1, 1)],
  ['the audio of QEMU begins', Buffer.of(255, 1, 0, 1)],
  ['the audio of QEMU', Buffer.concat([Buffer.of(255, 1, 0, 2), u32(6), Buffer.alloc(6)])],
]

const cuts = fc.array(fc.nat(10_000_000), { maxLength: 40 })

describe('the parser of server messages', () => {
  it.each(messages)('finds the end of %s at every cut', (_, message) => {
    const stream = Buffer.concat([init, message, Buffer.of(2), message])
    const ends = [init.length, init.length + message.length, init.length + message.length + 1, stream.length]
    expect(parsed([stream])).toMatchObject({ ends, state: 'between' })
    const step = Math.max(1, Math.floor(stream.length / 3000))
    for (let at = 1; at < stream.length; at += step)
      expect(parsed([stream.subarray(0, at), stream.subarray(at)]).ends).toEqual(ends)
    if (stream.length < 5000) expect(parsed([...stream].map((byte) => Buffer.of(byte))).ends).toEqual(ends)
  })

  it('knows a size for each encoding that these tests try', () => {
    expect(new Set(rectangles.keys())).toEqual(new Set(bodies.map(([, encoding]) => encoding)))
  })

  it.each(recorded)('follows the recorded stream %s to its end, in any pieces', (_, stream) => {
    const whole = parsed([stream])
    expect(whole.state).toBe('between')
    expect(whole.ends.at(-1)).toBe(stream.length)
    expect(whole.types.filter((type) => type === 0).length).toBeGreaterThan(0)
    fc.assert(
      fc.property(cuts, (at) => {
        expect(parsed(cut(stream, at))).toEqual(whole)
      }),
      { numRuns: 20 },
    )
  })

  it.each(recorded)(
    'reads the recorded stream %s with any byte changed without an error, and buffers little',
    (_, stream) => {
      fc.assert(
        fc.property(fc.nat(stream.length - 1), fc.integer({ min: 1, max: 255 }), cuts, (at, by, places) => {
          const changed = Buffer.from(stream)
          changed[at] = changed[at]! ^ by
          expect(['ServerInit', 'between', 'message', 'unknown']).toContain(parsed(cut(changed, places)).state)
        }),
        { numRuns: 50 },
      )
    },
  )

  it('follows small pixels by the format of the client', () => {
    const parser = new ServerMessageParser()
    parsed([init], parser)
    parser.format = pixelFormatAt(Buffer.from('0808000100030003000300020400000000', 'hex'), 0)
    const raw = update(rectangle(0, Buffer.alloc(WIDTH * HEIGHT), WIDTH, HEIGHT))
    const tight = update(rectangle(7, Buffer.of(0x80, 1), WIDTH, HEIGHT))
    expect(parsed([raw, tight], parser).ends).toEqual([raw.length, raw.length + tight.length])
  })

  it.each([
    ['a message of an unknown type', Buffer.of(77)],
    ['a rectangle of an unknown encoding', update(rectangle(99, Buffer.alloc(0)))],
    ['a Tight rectangle of an unknown kind', update(rectangle(7, Buffer.of(0xb0)))],
    ['a Tight rectangle with an unknown filter', update(rectangle(7, Buffer.of(0x40, 3)))],
    ['a JPEG image that is none', update(rectangle(21, Buffer.of(1, 2)))],
    ['a JPEG segment without its length', update(rectangle(21, Buffer.of(0xff, 0xd8, 0xff, 0xdb, 0, 1)))],
    ['an unknown cursor of VMware', update(rectangle(0x574d5664, Buffer.of(2, 0)))],
    ['an unknown message of QEMU', Buffer.of(255, 9, 0, 0)],
  ])('gives up at %s, for good', (_, message) => {
    const { ends, state } = parsed([init, Buffer.concat([Buffer.of(2), message, Buffer.of(2, 2, 2)]), Buffer.of(2)])
    expect(ends).toEqual([init.length, init.length + 1])
    expect(state).toBe('unknown')
  })

  it('does not count the tiles of a Hextile rectangle without a width', () => {
    let comparisons = 0
    const height = {
      valueOf: () => {
        comparisons += 1
        return 0xffff
      },
    } as unknown as number
    const format = { bytesPerPixel: 4, tightBytes: 3 }
    expect(rectangles.get(5)!({ width: 0, height, format }).next().done).toBe(true)
    expect(comparisons).toBeLessThan(2)
  })

  it('gives up at a piece of very many messages', () => {
    expect(parsed([init, Buffer.alloc(90_000, 2), Buffer.alloc(90_000, 2)]).state).toBe('between')
    expect(parsed([init, Buffer.alloc(110_000, 2)]).state).toBe('unknown')
  })

  it('gives up at Tight with a depth of 32, of which servers disagree about the size of a pixel', () => {
    const parser = new ServerMessageParser()
    parsed([init], parser)
    parser.format = pixelFormatAt(Buffer.from('2020000100ff00ff00ff0008100000000', 'hex'), 0)
    expect(parsed([update(rectangle(7, Buffer.of(0x80, 1, 2, 3)))], parser).state).toBe('unknown')
  })

  it('buffers no more for a message that announces 4 GiB than its header', () => {
    const parser = new ServerMessageParser()
    parsed([init, Buffer.concat([Buffer.of(3, 0, 0, 0), u32(0x7fff_ffff)])], parser)
    const before = process.memoryUsage().arrayBuffers
    const piece = Buffer.alloc(1024 * 1024)
    for (let i = 0; i < 64; i += 1) expect(parser.advance(piece, 0)).toBe(piece.length)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024)
    expect(parser.state).toBe('message')
    expect(u16(1)).toEqual(Buffer.of(0, 1))
  })
})
