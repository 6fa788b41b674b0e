/** The form in which this package has its tables: text that a bundler leaves alone, six to eight bytes for a bitmap. */
import type { Face, Hashes } from './glyph-table.ts'
import { HASH_BITS } from './hash.ts'

/** A face whose hashes are packed by {@link unpackHashes}' format. */
export interface PackedFace {
  readonly name: string
  readonly width: number
  readonly height: number
  readonly narrow: string
  readonly wide?: string
  readonly underCursor: string
}

const HASH_BYTES = HASH_BITS / 8

export function unpackFace({ name, width, height, narrow, wide = '', underCursor }: PackedFace): Face {
  const [one, two, hidden] = [unpackHashes(narrow), unpackHashes(wide), unpackHashes(underCursor)]
  return { name, width, height, narrow: one, wide: two, underCursor: hidden }
}

/**
 * Unpacks base64 of pairs in the order of their code points: by how much the code point is larger than the one before,
 * seven bits a byte, the lowest first, the eighth set if more follow; and the hash, its highest byte first.
 */
export function unpackHashes(packed: string): Hashes {
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0))
  const pairs: [number, number][] = []
  for (let at = 0, codePoint = 0; at < bytes.length; ) {
    let [step, shift] = [0, 0]
    for (; bytes[at]! & 0x80; shift += 7) step |= (bytes[at++]! & 0x7f) << shift
    codePoint += step | (bytes[at++]! << shift)
    let hash = 0
    for (const end = at + HASH_BYTES; at < end; at++) hash = hash * 256 + bytes[at]!
    pairs.push([hash, codePoint])
  }
  return pairs
}
