/** Finds the fonts inside a VGA BIOS, a UEFI firmware and a Linux kernel. */
import { spawnSync } from 'node:child_process'
import type { BitmapFont, Glyph } from '@oriel/console'
import { cp437 } from './cp437.ts'
import { rowsOf } from './psf.ts'

/** A font counts as found if so many of the sample's digits and capitals have their places in it. */
const ENOUGH = 9

/**
 * Returns the font of 256 characters in the order of code page 437 that has most characters in common with a sample.
 * @param sample a similar font of the same size, to find the place by.
 * @throws Error if there is no such place in `image`
 */
export function embeddedFont(name: string, image: Buffer, sample: BitmapFont): BitmapFont {
  const { width, height } = sample
  const bytesPerGlyph = Math.ceil(width / 8) * height
  const [start, votes] = [...votesOf(image, sample, bytesPerGlyph)].reduce((a, b) => (b[1] > a[1] ? b : a), [0, 0])
  if (votes < ENOUGH) throw new Error(`${name}: found no font of ${width}x${height}`)
  const rows = (index: number) => rowsOf(image.subarray(start + index * bytesPerGlyph), width, height)
  return { name, width, height, glyphs: cp437.map((codePoint, index) => ({ codePoint, rows: rows(index) })) }
}

/** Counts, for each place where a font could begin, the characters that are where they would be in it. */
function votesOf(image: Buffer, { width, glyphs }: BitmapFont, bytesPerGlyph: number): Map<number, number> {
  const votes = new Map<number, number>()
  for (const { codePoint, rows } of glyphs) {
    if (!/[0-9A-Z]/.test(String.fromCodePoint(codePoint))) continue
    const bitmap = bytesOf(rows, width)
    for (let at = image.indexOf(bitmap); at >= 0; at = image.indexOf(bitmap, at + 1)) {
      const start = at - codePoint * bytesPerGlyph
      votes.set(start, (votes.get(start) ?? 0) + 1)
    }
  }
  return votes
}

/** Returns a bitmap as it is in a file, each row in whole bytes. */
function bytesOf(rows: readonly number[], width: number): Buffer {
  const bytesPerRow = Math.ceil(width / 8)
  const bytes = rows.flatMap((row) => {
    const padded = (row >>> 0) * 2 ** (bytesPerRow * 8 - width)
    return Array.from({ length: bytesPerRow }, (_, i) => Math.floor(padded / 2 ** (8 * (bytesPerRow - 1 - i))) & 255)
  })
  return Buffer.from(bytes)
}

/**
 * Unpacks a bzImage that is compressed by LZ4, as Debian 12's (kernel: Documentation/x86/boot.rst).
 * @throws Error if it is compressed otherwise
 */
export function unpackKernel(file: Buffer): Buffer {
  const realModeSectors = file[0x1f1]! + 1
  const start = realModeSectors * 512 + file.readUInt32LE(0x248)
  const payload = file.subarray(start, start + file.readUInt32LE(0x24c))
  if (payload.readUInt32LE(0) !== 0x184c2102) throw new Error('The kernel is not compressed by LZ4')
  const blocks: Buffer[] = []
  // The last four bytes are the size of the whole.
  for (let at = 4; at < payload.length - 4; ) {
    const length = payload.readUInt32LE(at)
    blocks.push(lz4Block(payload.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return Buffer.concat(blocks)
}

/** Decodes one block of LZ4's legacy frame, which has 8 MiB at most (lz4: doc/lz4_Block_format.md). */
function lz4Block(block: Buffer): Buffer {
  const out = Buffer.alloc(8 << 20)
  let [at, end] = [0, 0]
  const extended = (nibble: number) => {
    let length = nibble
    if (nibble === 15) for (let byte = 255; byte === 255; length += byte) byte = block[at++]!
    return length
  }
  while (at < block.length) {
    const token = block[at++]!
    const literals = extended(token >> 4)
    end += block.copy(out, end, at, at + literals)
    at += literals
    if (at >= block.length) break
    const offset = block.readUInt16LE(at)
    at += 2
    // Byte by byte: a match may overlap what it writes.
    for (let left = extended(token & 15) + 4; left > 0; left--, end++) out[end] = out[end - offset]!
  }
  return out.subarray(0, end)
}

const UEFI_HEIGHT = 19

/**
 * Returns the font of a UEFI firmware's text consoles: a list of `EFI_NARROW_GLYPH` in a compressed volume (UEFI 2.10,
 * 34.3.2).
 * @throws Error if it is not there
 */
export function uefiFont(name: string, image: Buffer): BitmapFont {
  const volume = unpackVolume(image)
  const glyphs = narrowGlyphs(volume, startOfGlyphs(volume))
  return { name, width: 8, height: UEFI_HEIGHT, glyphs }
}

/** UTF-16, a byte of attributes, and the rows. */
const GLYPH_BYTES = 3 + UEFI_HEIGHT

/** The list begins with the space and the exclamation mark. */
function startOfGlyphs(volume: Buffer): number {
  const blank = Buffer.alloc(GLYPH_BYTES)
  blank[0] = 0x20
  const start = volume.indexOf(Buffer.concat([blank, Buffer.from([0x21, 0, 0])]))
  if (start < 0) throw new Error('The firmware has no font')
  return start
}

function narrowGlyphs(volume: Buffer, start: number): Glyph[] {
  const glyphs: Glyph[] = []
  for (let at = start; ; at += GLYPH_BYTES) {
    const codePoint = volume.readUInt16LE(at)
    if (codePoint === 0) return glyphs
    glyphs.push({ codePoint, rows: [...volume.subarray(at + 3, at + GLYPH_BYTES)] })
  }
}

/** The header of EDK II's LZMA sections: the usual properties, and a dictionary of some megabytes. */
const LZMA = Buffer.from([0x5d, 0, 0])

/** Unpacks the largest volume, which is the first that LZMA decodes. What follows it in the image is no error of it. */
function unpackVolume(image: Buffer): Buffer {
  for (let at = image.indexOf(LZMA); at >= 0; at = image.indexOf(LZMA, at + 1)) {
    const xz = ['--format=lzma', '--decompress', '--stdout']
    const { stdout } = spawnSync('xz', xz, { input: image.subarray(at), maxBuffer: 1 << 26 })
    if (stdout.length > 1 << 20) return stdout
  }
  throw new Error('The firmware has no compressed volume')
}
