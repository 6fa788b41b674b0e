/** RFC 6143 section 7.7.1. */
import type { Decoder } from './decoder.ts'

export const raw: Decoder = function* raw({ x, y, width, height }, target) {
  for (let row = y; row < y + height; row += 1) target.writeRow(x, row, width, yield width * 4, 4)
}
