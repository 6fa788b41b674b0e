import { type BitmapFont, createGlyphTable, type Image, readText, UNREADABLE } from '@oriel/console'
import { drawText } from '@oriel/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { INVENTED, inventedFont } from './invented-font.ts'

const font = inventedFont(8, 16)
const table = createGlyphTable([font, inventedFont(6, 12), inventedFont(16, 32)])
const WORDS = 'The quick brown fox jumps over 13 lazy dogs.'
const size = { width: 720, height: 400 }
const FULL = 0xff
const blank = new Array<number>(16).fill(0)

/** The invented font with other glyphs. */
const withGlyphs = (...glyphs: BitmapFont['glyphs']): BitmapFont => ({ ...font, glyphs: [...font.glyphs, ...glyphs] })
const glyphOf = (character: string) => font.glyphs.find(({ codePoint }) => codePoint === character.codePointAt(0))!

/** A change of one pixel. */
function flip({ width, rgba }: Image, x: number, y: number): void {
  const at = (y * width + x) * 4
  const isBlack = rgba[at] === 0
  rgba.fill(isBlack ? 0xaa : 0, at, at + 3)
}

/** Paints a rectangle in the default ink, or inverts it. */
function cursor(
  { width, rgba }: Image,
  left: number,
  top: number,
  wide: number,
  high: number,
  how: 'paint' | 'invert',
) {
  for (let y = top; y < top + high; y++)
    for (let x = left; x < left + wide; x++) {
      const at = (y * width + x) * 4
      rgba.fill(how === 'paint' ? 0xaa : 0xaa - rgba[at]!, at, at + 3)
    }
}

describe('readText', () => {
  it('reads lines, trims blanks at their ends, and prints them without empty lines below', () => {
    const text = readText(drawText([WORDS, '', '  indented  '], { font, ...size }), table)
    expect(text.lines).toEqual([WORDS, '', '  indented', ...new Array(22).fill('')])
    expect(String(text)).toBe(`${WORDS}\n\n  indented`)
    expect(text.grid).toEqual({ left: 0, top: 0, cellWidth: 8, cellHeight: 16, columns: 90, rows: 25 })
    expect(text.font).toBe('Invented 8x16')
  })

  it('reads any text in any two colours at any offset, in fonts of any size', () => {
    const line = fc
      .string({ unit: fc.constantFrom(...INVENTED), minLength: 5, maxLength: 30 })
      .map((text) => `x${text}`)
    const colour = fc.integer({ min: 0, max: 0xffffff })
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 5 }),
        fc.uniqueArray(colour, { minLength: 2, maxLength: 2 }),
        fc.constantFrom([6, 12], [8, 16], [16, 32]),
        fc.nat(40),
        fc.nat(40),
        (lines, [ink, paper], [width, height], left, top) => {
          fc.pre(lines.join('').replace(/\W/g, '').length >= 3)
          const colours = () => ({ ink: ink!, paper: paper! })
          const drawn = inventedFont(width!, height!)
          const image = drawText(lines, { font: drawn, width: 700, height: 300, left, top, colours })
          const trimmed = lines
            .map((text) => text.trimEnd())
            .join('\n')
            .trim()
          expect(
            readText(image, table)
              .lines.map((text) => text.trim())
              .join('\n')
              .trim(),
          ).toBe(trimmed)
        },
      ),
      { numRuns: 60, seed: 1 },
    )
  })

  it('reads nine columns per cell, the ninth empty or a repetition of the eighth', () => {
    const frames = withGlyphs({ codePoint: 0x2500, rows: blank.map((_, y) => (y === 8 ? FULL : 0)) })
    const image = drawText([WORDS, '──'], { font: frames, ...size, pitch: 9 })
    const text = readText(image, createGlyphTable([frames]))
    expect(String(text)).toBe(`${WORDS}\n──`)
    expect(text.grid).toMatchObject({ cellWidth: 9, columns: 80 })
    flip(image, 8, 3)
    expect(readText(image, createGlyphTable([frames])).lines[0]).toBe(UNREADABLE + WORDS.slice(1))
  })

  it('reads inverse video, and words in other colours', () => {
    const colours = (column: number) => (column < 9 ? { ink: 0, paper: 0xaaaaaa } : { ink: 0xff5555, paper: 0x0000aa })
    expect(String(readText(drawText([WORDS], { font, ...size, colours }), table))).toBe(WORDS)
  })

  it.each(['paint', 'invert'] as const)('reads a cell under a cursor of two rows that %ss', (how) => {
    const image = drawText([WORDS], { font, ...size })
    cursor(image, 4 * 8, 14, 8, 2, how)
    cursor(image, WORDS.length * 8, 14, 8, 2, how)
    expect(String(readText(image, table))).toBe(WORDS)
  })

  it('reads a character of which a cursor hides a part, if no other looks like the rest', () => {
    const tail = { ...glyphOf('g'), rows: glyphOf('g').rows.map((row, y) => (y > 11 ? 0x18 : row)) }
    const tails: BitmapFont = {
      ...font,
      glyphs: font.glyphs.map((glyph) => (glyph.codePoint === tail.codePoint ? tail : glyph)),
    }
    const image = drawText([WORDS, 'dogs'], { font: tails, ...size })
    cursor(image, 2 * 8, 16 + 13, 8, 2, 'paint')
    expect(String(readText(image, createGlyphTable([tails])))).toBe(`${WORDS}\ndogs`)
  })

  it('reads a block cursor on a character as inverse video', () => {
    const image = drawText([WORDS], { font, ...size })
    cursor(image, 4 * 8, 0, 8, 16, 'invert')
    expect(String(readText(image, table))).toBe(WORDS)
  })

  it('marks a cell with three colours as unreadable', () => {
    const image = drawText([WORDS], { font, ...size })
    image.rgba.set([1, 2, 3], (5 * size.width + 8 * 4 + 3) * 4)
    expect(String(readText(image, table))).toBe(WORDS.replace('q', UNREADABLE))
  })

  it('reads no cell with a flipped pixel as another character', () => {
    const [column, width, height] = [4, 8, 16]
    for (let pixel = 0; pixel < width * height; pixel++) {
      const image = drawText([WORDS], { font, width: 400, height: 32 })
      flip(image, column * width + (pixel % width), Math.floor(pixel / width))
      expect(String(readText(image, table))).toBe(WORDS.replace('q', UNREADABLE))
    }
  })

  it('reads no text in noise', () => {
    let state = 7
    const rgba = Uint8Array.from({ length: 640 * 400 * 4 }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state >>> 24
    })
    expect(readText({ width: 640, height: 400, rgba }, table)).toMatchObject({
      lines: [],
      grid: undefined,
      font: undefined,
    })
    const twoColours = rgba.map((level, i) => (i % 4 === 3 ? 255 : rgba[i - (i % 4)]! > 127 ? 255 : 0) & (level | 255))
    expect(readText({ width: 640, height: 400, rgba: twoColours }, table).lines).toEqual([])
  })

  it('reads no text in a picture of which one cell happens to be a letter', () => {
    const image = drawText(['a'], { font, ...size })
    for (let i = 0; i < 80_000; i++) image.rgba.set([i, i >> 4, 255 - i], (100 + (i % 600) + (i >> 9) * size.width) * 4)
    expect(readText(image, table).lines).toEqual([])
  })

  it('reads text beside a picture, whose cells are unreadable', () => {
    const image = drawText(['', WORDS], { font, ...size })
    for (let i = 0; i < 200; i++) image.rgba.set([i, 255 - i, i], ((i % 16) * size.width + (i >> 4)) * 4)
    expect(readText(image, table).lines.slice(0, 2)).toEqual([UNREADABLE.repeat(2), WORDS])
  })

  it('returns no lines for an empty screen and for an empty picture', () => {
    expect(readText(drawText([], { font, ...size }), table).lines).toEqual([])
    expect(String(readText({ width: 0, height: 0, rgba: new Uint8Array() }, table))).toBe('')
  })

  it('prefers ASCII, then Latin, where characters look the same', () => {
    const { rows } = glyphOf('A')
    const cyrillic = { codePoint: 0x410, rows }
    const alike = createGlyphTable([{ ...font, glyphs: [cyrillic, ...font.glyphs, { codePoint: 0xc4, rows }] }])
    expect(String(readText(drawText(['ABBA'], { font, ...size }), alike))).toBe('ABBA')
  })

  it('uses one font for all of a screen, the one that reads most', () => {
    const other = {
      ...font,
      name: 'Other',
      glyphs: font.glyphs.map((glyph, i, all) => ({ ...glyph, rows: all.at(i - 1)!.rows })),
    }
    const both = createGlyphTable([
      other,
      { ...font, glyphs: withGlyphs({ codePoint: 0x2022, rows: blank.with(5, 0x18) }).glyphs },
    ])
    const bullets = withGlyphs({ codePoint: 0x2022, rows: blank.with(5, 0x18) })
    expect(String(readText(drawText(['• abc'], { font: bullets, ...size }), both))).toBe('• abc')
  })

  it('reads a half block on the background of the letters before it', () => {
    const halves = withGlyphs(
      { codePoint: 0x2580, rows: blank.map((_, y) => (y < 8 ? FULL : 0)) },
      { codePoint: 0x2584, rows: blank.map((_, y) => (y < 8 ? 0 : FULL)) },
    )
    const colours = (_: number, row: number) => (row === 0 ? { ink: 0xaaaaaa, paper: 0 } : { ink: 0, paper: 0xaaaaaa })
    const image = drawText([`${WORDS} ▀▄`, 'abc▀▄'], { font: halves, ...size, colours })
    expect(String(readText(image, createGlyphTable([halves])))).toBe(`${WORDS} ▀▄\nabc▀▄`)
  })

  it('reads wide characters, which take two columns', () => {
    const half = (seed: number) =>
      blank.map((_, y) => (y < 2 || y > 13 ? 0 : (Math.imul(y + seed, 40_503) & 0x7fff) | 0x100))
    const wide = withGlyphs(
      { codePoint: 0x4e2d, rows: half(1), wide: true },
      { codePoint: 0x6587, rows: half(9), wide: true },
    )
    const image = drawText(['abc中文 def'], { font: wide, ...size })
    expect(String(readText(image, createGlyphTable([wide])))).toBe('abc中文 def')
  })

  it('finds the grid of an earlier text again, and another one if that has gone', () => {
    const first = readText(drawText([WORDS], { font, ...size, left: 3, top: 5 }), table)
    const second = readText(drawText(['Second one'], { font, ...size, left: 3, top: 5 }), table, { previous: first })
    expect([String(second), second.grid]).toEqual(['Second one', first.grid])
    const moved = readText(drawText([WORDS], { font: inventedFont(6, 12), ...size }), table, { previous: second })
    expect([String(moved), moved.grid]).toMatchObject([WORDS, { cellWidth: 6, left: 0 }])
  })

  it('reads an unaligned view of bytes, and rejects one that is too short', () => {
    const { rgba, ...rest } = drawText([WORDS], { font, ...size })
    const shifted = new Uint8Array(rgba.length + 1)
    shifted.set(rgba, 1)
    expect(String(readText({ ...rest, rgba: shifted.subarray(1) }, table))).toBe(WORDS)
    expect(() => readText({ ...rest, rgba: rgba.subarray(4) }, table)).toThrow(
      '720x400 pixels need 1152000 bytes, not 1151996',
    )
  })
})
