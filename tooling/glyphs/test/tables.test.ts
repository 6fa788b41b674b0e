/** The committed tables are those of Debian's fonts, and read everything that these fonts draw. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BitmapFont, type GlyphTable, loadGlyphs, readText, UNREADABLE } from '@oriel/console'
import { drawText } from '@oriel/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { missingParts, tableFonts } from '../src/fonts.ts'
import { madeTables, tableFolder } from '../src/tables.ts'

const ASCII = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i))
const WORDS = 'The quick brown fox jumps over 13 lazy dogs:'
/** Of 48,000 wide characters every one in so many is drawn. */
const SOME = 40
/** Without the comment, which names the versions of the packages: a new kernel has the same fonts. */
const data = (source: string) => source.slice(source.indexOf('*/'))

const { skip, reason } = missingParts()

describe.skipIf(skip)(`the glyph tables${reason}`, () => {
  let fonts: BitmapFont[]
  let table: GlyphTable
  beforeAll(async () => {
    fonts = tableFonts()
    table = await loadGlyphs({ unifont: true })
  })

  it('are what the tool makes of the fonts', () => {
    for (const [name, source] of Object.entries(madeTables(fonts)))
      expect(data(readFileSync(join(tableFolder, name), 'utf8')) === data(source), `${name}: run npm run glyphs`).toBe(
        true,
      )
  })

  it('read the ASCII of each font, on a text screen with nine columns a cell as well', () => {
    for (const font of fonts) {
      const lines = [WORDS, ...chunks(ASCII, 32)]
      const screen = { font, width: font.width * 60, height: font.height * 10 }
      expect
        .soft(String(readText(drawText(lines, screen), table)), `${font.name} ${font.width}x${font.height}`)
        .toBe(lines.join('\n'))
      if (font.width !== 8) continue
      const nine = readText(drawText(lines, { ...screen, pitch: 9, width: 9 * 60 }), table)
      expect.soft(String(nine), `${font.name} 9x${font.height}`).toBe(lines.join('\n'))
    }
  })

  it('read no character of any font as one that looks different in it', () => {
    for (const font of fonts) {
      const [alike, isWide] = [lookalikes(font), wideOf(font)]
      const drawn = [...alike.keys()].filter((character) => character > ' ')
      for (const lines of pages(font, drawn)) {
        const read = readText(drawText(lines, { font, width: font.width * 84, height: font.height * 42 }), table).lines
        for (const [row, line] of lines.entries()) {
          const [written, seen] = [inColumns(font, line), inColumns(font, read[row] ?? '')]
          const wrong = written.filter(
            (character, i) => character > ' ' && !isRight(alike, isWide, character, seen[i] ?? ' '),
          )
          expect(wrong, `${font.name} ${font.width}x${font.height}: ${read[row]}`).toEqual([])
        }
      }
    }
  })

  it('read no letter with a flipped pixel as one that looks different', () => {
    const font = fonts.find(({ name, height }) => name === 'Linux' && height === 16)!
    const bitmaps = new Map(font.glyphs.map(({ codePoint, rows }) => [rows.join(), String.fromCodePoint(codePoint)]))
    for (const [i, letter] of ASCII.entries()) {
      const image = drawText([WORDS, letter], { font, width: 400, height: 32 })
      const [x, y] = [(i * 5) % 8, (i * 7) % 16]
      image.rgba.set(image.rgba[((16 + y) * 400 + x) * 4] === 0 ? [170, 170, 170] : [0, 0, 0], ((16 + y) * 400 + x) * 4)
      const rows = font.glyphs.find(({ codePoint }) => codePoint === letter.charCodeAt(0))!.rows
      const flipped = rows.with(y, rows[y]! ^ (1 << (7 - x))).join()
      expect.soft(readText(image, table).lines[1], `${letter} with ${x}, ${y}`).toBe(bitmaps.get(flipped) ?? UNREADABLE)
    }
  })
})

/** Returns, for each character, all that have the bitmap by which `drawText` draws it: the last of its glyphs. */
function lookalikes({ glyphs }: BitmapFont): Map<string, Set<string>> {
  const characters = Map.groupBy(glyphs, ({ rows }) => rows.join())
  const sets = new Map(
    [...characters].map(([rows, same]) => [
      rows,
      new Set(same.map(({ codePoint }) => String.fromCodePoint(codePoint))),
    ]),
  )
  return new Map(glyphs.map(({ codePoint, rows }) => [String.fromCodePoint(codePoint), sets.get(rows.join())!]))
}

/** Returns the characters by column. The second column of a wide one is empty. */
function inColumns(font: BitmapFont, line: string): string[] {
  const isWide = wideOf(font)
  return Array.from(line).flatMap((character) => (isWide.has(character) ? [character, ''] : [character]))
}

const wideOf = ({ glyphs }: BitmapFont) =>
  new Set(glyphs.filter(({ wide }) => wide).map(({ codePoint }) => String.fromCodePoint(codePoint)))

/**
 * Whether a character was read as one that looks the same, or as a blank. A shape may be read as its inverse, and a wide
 * character as two narrow ones that look like its halves.
 */
function isRight(alike: ReadonlyMap<string, Set<string>>, isWide: ReadonlySet<string>, written: string, seen: string) {
  if (seen === ' ' || alike.get(written)!.has(seen)) return true
  if (isWide.has(written) && !isWide.has(seen)) return seen !== UNREADABLE
  return written >= '\u2000' && written < '\u2c00' && seen !== UNREADABLE
}

/** Fills screens of 80 columns, with a line of words on each, so that the font is known. */
function pages(font: BitmapFont, characters: readonly string[]): string[][] {
  const isWide = wideOf(font)
  const [narrow, wide] = [
    characters.filter((one) => !isWide.has(one)),
    characters.filter((one) => isWide.has(one)).filter((_, i) => i % SOME === 0),
  ]
  // A blank after each wide character: a blank half of one could join the half of the next.
  const lines = [...chunks(narrow, 80), ...chunks(wide, 26).map((line) => Array.from(line).join(' '))]
  const screens = chunksOf(lines, 40)
  return screens.map((screen) => [WORDS, ...screen])
}

const chunks = (characters: readonly string[], length: number) =>
  chunksOf(characters, length).map((line) => line.join(''))

function chunksOf<T>(list: readonly T[], length: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / length) }, (_, i) => list.slice(i * length, (i + 1) * length))
}
