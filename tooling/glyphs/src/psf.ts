/** Reads PSF fonts, versions 1 and 2, of Linux's console (kbd: the manual of `setfont`, `psf.h`). */
import { gunzipSync } from 'node:zlib'
import type { BitmapFont, Glyph } from '@oriel/console'

interface Header {
  readonly width: number
  readonly height: number
  readonly count: number
  readonly bytesPerGlyph: number
  readonly start: number
  readonly hasTable: boolean
  /** Reads the list of a glyph's characters from `at` on, and returns where the next one begins. */
  readonly table: (bytes: Buffer, at: number) => readonly [codePoints: number[], end: number]
}

/** Reads a font, gzipped or not. Characters that need several code points are left out. @throws Error if it is not PSF */
export function readPsf(name: string, file: Uint8Array): BitmapFont {
  const bytes = file[0] === 0x1f && file[1] === 0x8b ? gunzipSync(file) : Buffer.from(file)
  const header = headerOf(bytes)
  if (!header?.hasTable) throw new Error(`${name} is not a PSF font with a table of its characters`)
  return { name, width: header.width, height: header.height, glyphs: glyphsOf(bytes, header) }
}

function headerOf(bytes: Buffer): Header | undefined {
  if (bytes.readUInt16LE(0) === 0x0436) {
    const [mode, height] = [bytes[2]!, bytes[3]!]
    const count = mode & 1 ? 512 : 256
    return { width: 8, height, count, bytesPerGlyph: height, start: 4, hasTable: (mode & 6) !== 0, table: utf16List }
  }
  if (bytes.readUInt32LE(0) !== 0x864ab572) return undefined
  const [start, flags, count, bytesPerGlyph, height, width] = [8, 12, 16, 20, 24, 28].map((at) =>
    bytes.readUInt32LE(at),
  )
  const hasTable = (flags! & 1) !== 0
  return {
    width: width!,
    height: height!,
    count: count!,
    bytesPerGlyph: bytesPerGlyph!,
    start: start!,
    hasTable,
    table: utf8List,
  }
}

function glyphsOf(bytes: Buffer, { width, height, count, bytesPerGlyph, start, table }: Header): Glyph[] {
  const glyphs: Glyph[] = []
  let at = start + count * bytesPerGlyph
  for (let index = 0; index < count; index++) {
    const from = start + index * bytesPerGlyph
    const rows = rowsOf(bytes.subarray(from, from + bytesPerGlyph), width, height)
    const [codePoints, end] = table(bytes, at)
    glyphs.push(...codePoints.map((codePoint) => ({ codePoint, rows })))
    at = end
  }
  return glyphs
}

/** Returns rows of `width` bits from rows of whole bytes. */
export function rowsOf(bitmap: Uint8Array, width: number, height: number): number[] {
  const pitch = Math.ceil(width / 8)
  return Array.from({ length: height }, (_, y) => {
    const row = bitmap.subarray(y * pitch, (y + 1) * pitch).reduce((bits, byte) => bits * 256 + byte, 0)
    return Math.floor(row / 2 ** (pitch * 8 - width)) | 0
  })
}

/** PSF 1: code units until 0xFFFF; after 0xFFFE sequences. */
function utf16List(bytes: Buffer, start: number) {
  const units: number[] = []
  let at = start
  for (; bytes.readUInt16LE(at) !== 0xffff; at += 2) units.push(bytes.readUInt16LE(at))
  const sequences = units.indexOf(0xfffe)
  return [sequences < 0 ? units : units.slice(0, sequences), at + 2] as const
}

/** PSF 2: UTF-8 until 0xFF; after 0xFE sequences. */
function utf8List(bytes: Buffer, start: number) {
  const end = bytes.indexOf(0xff, start)
  const list = bytes.subarray(start, end)
  const sequences = list.indexOf(0xfe)
  const text = (sequences < 0 ? list : list.subarray(0, sequences)).toString('utf8')
  return [Array.from(text, (character) => character.codePointAt(0)!), end + 1] as const
}
