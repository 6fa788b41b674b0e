/** Each encoding draws what its bytes say, in whatever pieces they come. */
import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../src/index.ts'
import { createClient, hello, pixels, rectangle, rgbs, syncFlushed, u16, u32, update } from './parts/server.ts'

const [RAW, COPY_RECT, HEXTILE, TIGHT, ZRLE] = [0, 1, 5, 7, 16]

/** Plays the updates in one piece, byte by byte, and cut in two at every byte, and expects the same picture of each. */
function expectPicture(size: readonly [number, number], updates: readonly Buffer[], rows: readonly string[]): void {
  const bytes = Buffer.concat([hello(...size), ...updates])
  const cuts = [[], Array.from(bytes, (_, i) => i), ...Array.from(bytes, (_, i) => [i])]
  for (const at of cuts) {
    const played = createClient()
    played.receive(bytes, ...at)
    expect(played.rows(), `cut at ${at.length === 1 ? at : at.length}`).toEqual(rows)
    expect(played.client.state).toBe('message')
  }
}

const refusal = (size: readonly [number, number], ...rectangles: Buffer[]) => {
  const played = createClient()
  try {
    played.receive(Buffer.concat([hello(...size), update(rectangles)]))
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError)
    return (error as Error).message
  }
  return played.client.state
}

describe('Raw', () => {
  it('draws each pixel in its place', () => {
    const data = [rectangle(RAW, [0, 0, 3, 2], pixels('rgbw.o')), rectangle(RAW, [2, 1, 1, 1], pixels('p'))]
    expectPicture([3, 2], [update(data)], ['rgb', 'w.p'])
  })

  it('is refused for an area that leaves the screen', () => {
    expect(refusal([3, 2], rectangle(RAW, [1, 0, 3, 1]))).toBe('A rectangle leaves the screen')
    expect(refusal([3, 2], rectangle(RAW, [0, 65_535, 1, 65_535]))).toBe('A rectangle leaves the screen')
  })
})

describe('CopyRect', () => {
  const picture = rectangle(RAW, [0, 0, 4, 3], pixels('rgbwop.rgbwo'))

  it.each([
    ['down and right', [1, 1, 3, 2], [0, 0], ['rgbw', 'orgb', 'gop.']],
    ['up and left', [0, 0, 3, 2], [1, 1], ['p.rw', 'bwor', 'gbwo']],
    ['to the right in its row', [1, 0, 3, 1], [0, 0], ['rrgb', 'op.r', 'gbwo']],
    ['to the left in its row', [0, 0, 3, 1], [1, 0], ['gbww', 'op.r', 'gbwo']],
  ] as const)('copies an area %s, over which it may lie', (_, area, from, rows) => {
    expectPicture([4, 3], [update([picture, rectangle(COPY_RECT, area, ...from.map(u16))])], rows)
  })

  it('is refused for a source that leaves the screen', () => {
    expect(refusal([4, 3], rectangle(COPY_RECT, [0, 0, 2, 2], u16(3), u16(0)))).toMatch('outside the screen')
  })
})

describe('Hextile', () => {
  it('draws raw tiles, backgrounds, and subrectangles with and without colours', () => {
    const tiles = [
      Buffer.concat([Buffer.of(2 | 4 | 8), pixels('r'), pixels('g'), Buffer.of(2, 0x00, 0x00, 0xff, 0x00)]),
      // Inherits both colours, and has subrectangles: one of 2×1 pixels at 0, 1.
      Buffer.of(8, 1, 0x01, 0x10),
      Buffer.concat([Buffer.of(8 | 16), Buffer.of(1), pixels('b'), Buffer.of(0x00, 0x00)]),
      Buffer.concat([Buffer.of(1), pixels('wo')]),
    ]
    const rows = Array.from({ length: 17 }, (_, y) => (y === 16 ? `b${'r'.repeat(15)}wo` : `${'r'.repeat(16)}rr`))
    rows[0] = `g${'r'.repeat(15)}rr`
    rows[1] = `${'r'.repeat(16)}gg`
    rows[15] = `${'r'.repeat(15)}grr`
    expectPicture([18, 17], [update([rectangle(HEXTILE, [0, 0, 18, 17], ...tiles)])], rows)
  })

  it('is refused for a subrectangle that leaves its tile', () => {
    const tile = Buffer.concat([Buffer.of(2 | 8), pixels('r'), Buffer.of(1, 0x00, 0x20)])
    expect(refusal([2, 2], rectangle(HEXTILE, [0, 0, 2, 2], tile))).toMatch('leaves its tile')
  })
})

describe('Tight', () => {
  const area = [0, 0, 4, 2] as const
  const compact = (data: Buffer) => Buffer.concat([compactLength(data.length), data])

  it('fills an area with one colour', () => {
    expectPicture([4, 2], [update([rectangle(TIGHT, area, Buffer.of(0x80), rgbs('o'))])], ['oooo', 'oooo'])
  })

  it('draws fewer than 12 bytes without compression', () => {
    const copy = rectangle(TIGHT, [0, 0, 3, 1], Buffer.of(0x00), rgbs('rgb'))
    const palette = rectangle(TIGHT, [0, 1, 4, 1], Buffer.of(0x40, 1, 2), rgbs('wpo'), Buffer.of(0, 1, 2, 0))
    const bits = rectangle(TIGHT, [3, 0, 1, 1], Buffer.of(0x40, 1, 1), rgbs('rw'), Buffer.of(0x80))
    expectPicture([4, 2], [update([copy, palette, bits])], ['rgbw', 'wpow'])
  })

  it('goes on with each of its four zlib streams in the next rectangle, until that is reset', async () => {
    const [first, second] = await syncFlushed(rgbs('rgbwwbgr'), rgbs('wwwwoooo'))
    const [other] = await syncFlushed(rgbs('pppp....'))
    const draw = (control: number, data: Buffer) => update([rectangle(TIGHT, area, Buffer.of(control), compact(data))])
    expectPicture([4, 2], [draw(0x10, first!)], ['rgbw', 'wbgr'])
    expectPicture([4, 2], [draw(0x10, first!), draw(0x20, other!), draw(0x10, second!)], ['wwww', 'oooo'])
    expectPicture([4, 2], [draw(0x10, first!), draw(0x12, other!)], ['pppp', '....'])
  })

  it('draws palettes of two colours from bits, and of more from bytes', async () => {
    const wide = [0, 0, 9, 6] as const
    const [bits] = await syncFlushed(Buffer.from('ff8000008000010080000000', 'hex'))
    const two = rectangle(TIGHT, wide, Buffer.of(0x50, 1, 1), rgbs('.w'), compact(bits!))
    const rows = ['w'.repeat(9), '.........', 'w........', '.......w.', 'w........', '.........']
    expectPicture([9, 6], [update([two])], rows)
    const [bytes] = await syncFlushed(Buffer.from('000102000102000102000102', 'hex'))
    const three = rectangle(TIGHT, [0, 0, 6, 2], Buffer.of(0x40, 1, 2), rgbs('rgb'), compact(bytes!))
    expectPicture([6, 2], [update([three])], ['rgbrgb', 'rgbrgb'])
  })

  it('adds the differences of the gradient filter to its predictions, which stay within 0 and 255', async () => {
    // Worked out by hand from the formula, row by row: r, w, . and then p, w, o.
    const rows = ['ff0000 00ffff 010101', '122233 ef0101 ff8001'].join(' ').replaceAll(' ', '')
    const [data] = await syncFlushed(Buffer.from(rows, 'hex'))
    const gradient = rectangle(TIGHT, [0, 0, 3, 2], Buffer.of(0x40, 2), compact(data!))
    expectPicture([3, 2], [update([gradient])], ['rw.', 'p.o'])
  })

  it.each([
    ['JPEG, which was not requested', Buffer.of(0x90), 'the kind 9'],
    ['PNG, which was not requested', Buffer.of(0xa0), 'the kind 10'],
    ['an unknown filter', Buffer.of(0x40, 3), 'the unknown filter 3'],
    [
      'a colour that its palette lacks',
      Buffer.concat([Buffer.of(0x40, 1, 2), rgbs('rgb'), Buffer.of(3)]),
      'its palette',
    ],
    ['a damaged zlib stream', Buffer.of(0, 13, ...Array(13).fill(255)), 'damaged zlib stream'],
  ])('is refused with %s', (_, data, message) => {
    const size = message === 'damaged zlib stream' ? 4 : 1
    expect(refusal([4, 1], rectangle(TIGHT, [0, 0, size, 1], data))).toMatch(message)
  })

  it('is refused if its data inflates to less or more than its pixels', async () => {
    const [short] = await syncFlushed(rgbs('rgbwwbg'))
    const [long] = await syncFlushed(rgbs('rgbwwbgrr'))
    const draw = (data: Buffer) => refusal([4, 2], rectangle(TIGHT, area, Buffer.of(0), compact(data)))
    expect(draw(short!)).toMatch('less than its pixels')
    expect(draw(long!)).toMatch('more than its pixels')
  })
})

describe('ZRLE', () => {
  const draw = (data: Buffer, size: readonly [number, number]) =>
    update([rectangle(ZRLE, [0, 0, ...size], u32(data.length), data)])
  const inflating = async (...tiles: Buffer[]) => (await syncFlushed(Buffer.concat(tiles)))[0]!

  it.each([
    ['raw pixels', [Buffer.of(0), rgbs('rgbw.o')], ['rgb', 'w.o']],
    ['one colour', [Buffer.of(1), rgbs('p')], ['ppp', 'ppp']],
    ['two packed colours', [Buffer.of(2), rgbs('rw'), Buffer.of(0b01000000, 0b10100000)], ['rwr', 'wrw']],
    ['three packed colours', [Buffer.of(3), rgbs('rgb'), Buffer.of(0b00011000, 0b10010000)], ['rgb', 'bgr']],
    ['five packed colours', [Buffer.of(5), rgbs('rgbwo'), Buffer.of(0x01, 0x20, 0x34, 0x00)], ['rgb', 'wor']],
    ['runs', [Buffer.of(128), rgbs('r'), Buffer.of(3), rgbs('g'), Buffer.of(1)], ['rrr', 'rgg']],
    ['runs of a palette', [Buffer.of(130), rgbs('rw'), Buffer.of(0x81, 2, 0x00, 0x80, 1)], ['www', 'rrr']],
  ])('draws a tile of %s', async (_, tile, rows) => {
    expectPicture([3, 2], [draw(await inflating(...tile), [3, 2])], rows)
  })

  it('draws tiles of 64 pixels with runs longer than 255, and goes on with its stream', async () => {
    const first = Buffer.concat([
      Buffer.of(128),
      rgbs('r'),
      Buffer.of(...Array(16).fill(255), 15),
      Buffer.of(1),
      rgbs('g'),
    ])
    const second = Buffer.concat([Buffer.of(1), rgbs('b'), Buffer.of(1), rgbs('w')])
    const pieces = await syncFlushed(first, second)
    const red = Array(64).fill(`${'r'.repeat(64)}g`)
    const blue = Array(64).fill(`${'b'.repeat(64)}w`)
    const updates = pieces.map((data) => draw(data, [65, 64]))
    expectPicture([65, 64], updates.slice(0, 1), red)
    expectPicture([65, 64], updates, blue)
  })

  it.each([
    ['a kind of tile that is not in use', [Buffer.of(17)], 'the unknown kind 17'],
    ['a run beyond its tile', [Buffer.of(128), rgbs('r'), Buffer.of(6)], 'leaves its tile'],
    ['a run without an end', [Buffer.of(128), rgbs('r'), Buffer.alloc(17, 255)], 'leaves its tile'],
    ['a colour that its palette lacks', [Buffer.of(130), rgbs('rw'), Buffer.of(2)], 'its palette'],
    ['too little data', [Buffer.of(1), rgbs('r').subarray(1)], 'less than its pixels'],
  ])('is refused with %s', async (_, tile, message) => {
    const data = await inflating(...tile)
    expect(refusal([3, 2], rectangle(ZRLE, [0, 0, 3, 2], u32(data.length), data))).toMatch(message)
  })
})

function compactLength(length: number): Buffer {
  if (length < 128) return Buffer.of(length)
  return Buffer.of((length & 127) | 128, length >> 7)
}
