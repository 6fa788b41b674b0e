/** Hashes of bitmaps: what a table keeps in place of a font's pictures. */

/** The bits of a hash. With 100,000 bitmaps in a table, a random one is taken for one of them once in 2.8 billion times. */
export const HASH_BITS = 48

/** Returns the hash of a bitmap, an integer below 2⁴⁸. `mask` inverts each row where it has a bit. */
export function hashRows(rows: ArrayLike<number>, height: number, mask = 0): number {
  let high = height
  let low = ~height
  for (let y = 0; y < height; y++) {
    const row = rows[y]! ^ mask
    high = Math.imul(high ^ row, 0x9e3779b1)
    high ^= high >>> 15
    low = Math.imul(low + row, 0x85ebca6b)
    low ^= low >>> 13
    low = (low << 7) | (low >>> 25)
  }
  low = Math.imul(low ^ high, 0xc2b2ae35)
  return (high >>> 0) * 0x1_0000 + ((low ^ (low >>> 15)) & 0xffff)
}

/** Returns `width` one bits. */
export const fullRow = (width: number): number => (width === 32 ? -1 : (1 << width) - 1)
