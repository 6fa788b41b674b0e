/** Writes the tables of `@oriel/console` as TypeScript. `packed.ts` there describes their format. */
import type { CellSize, GlyphTable, PackedFace, Readings } from '@oriel/console'

/** Characters of Unifont that are in every table: Latin, Greek, Cyrillic, punctuation, arrows, signs, frames, blocks. */
const isCommon = (codePoint: number) => codePoint < 0x600 || (codePoint >= 0x2000 && codePoint < 0x2c00)

export interface PackedTables {
  readonly consoles: readonly PackedFace[]
  /** What is left of Unifont. */
  readonly unifont: PackedFace
}

export function packTables(table: GlyphTable): PackedTables {
  const all = () => true
  const consoles = table.sizes.flatMap((size) =>
    size.faces.map((name, face) => packFace(size, face, name === 'Unifont' ? isCommon : all)),
  )
  const size = table.sizes.find(({ faces }) => faces.includes('Unifont'))!
  return { consoles, unifont: packFace(size, size.faces.indexOf('Unifont'), (codePoint) => !isCommon(codePoint)) }
}

function packFace(size: CellSize, face: number, filter: (codePoint: number) => boolean): PackedFace {
  const { width, height, faces, narrow, wide, underCursor } = size
  const packed = (readings: Readings) => pack(pairsOf(readings, face).filter(([, codePoint]) => filter(codePoint)))
  const both = { narrow: packed(narrow), underCursor: packed(underCursor) }
  const two = packed(wide)
  return { name: faces[face]!, width, height, ...both, ...(two === '' ? {} : { wide: two }) }
}

function pairsOf(readings: Readings, face: number): [hash: number, codePoint: number][] {
  const pairs: [number, number][] = []
  for (const [hash, first] of readings)
    for (let one: typeof first | undefined = first; one; one = one.next)
      if (one.face === face) pairs.push([hash, one.codePoint])
  return pairs.toSorted(([hashA, a], [hashB, b]) => a - b || hashA - hashB)
}

function pack(pairs: readonly (readonly [hash: number, codePoint: number])[]): string {
  const HASH_BYTES = 6
  const bytes: number[] = []
  let last = 0
  for (const [hash, codePoint] of pairs) {
    let step = codePoint - last
    for (; step > 0x7f; step >>= 7) bytes.push((step & 0x7f) | 0x80)
    bytes.push(step)
    for (let i = HASH_BYTES - 1; i >= 0; i--) bytes.push(Math.floor(hash / 256 ** i) & 255)
    last = codePoint
  }
  return Buffer.from(bytes).toString('base64')
}

/** Returns a module of the package, formatted as all its code is. */
export function moduleOf(name: string, type: string, value: unknown, packages: readonly string[]): string {
  const json = JSON.stringify(value, undefined, 2)
    .replaceAll(/"(\w+)":/g, '$1:')
    .replaceAll('"', "'")
    .replaceAll(/(['\d\]}])$(?=\n\s*[}\]])/gm, '$1,')
    .replaceAll(/^( +)(\w{5,}): ('.{100,}',)$/gm, '$1$2:\n$1  $3')
  return `/**
 * Made by \`npm run glyphs\`; do not edit. Hashes of bitmaps and the characters that they show, no bitmaps.
 *
 * The fonts are in these packages of Debian 12:
${packages.map((line) => ` * - ${line}`).join('\n')}
 */
import type { PackedFace } from '../packed.ts'

export const ${name}: ${type} = ${json}
`
}
