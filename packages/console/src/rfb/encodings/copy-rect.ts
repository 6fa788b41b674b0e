/** RFC 6143 section 7.7.2. */
import { ProtocolError } from '../../errors.ts'
import { u16 } from '../wire/integers.ts'
import type { Decoder } from './decoder.ts'

export const copyRect: Decoder = function* copyRect(area, target) {
  const source = yield 4
  const [x, y] = [u16(source, 0), u16(source, 2)]
  if (!target.contains({ ...area, x, y })) throw new ProtocolError('The server copies from outside the screen')
  target.copy(area, x, y)
}
