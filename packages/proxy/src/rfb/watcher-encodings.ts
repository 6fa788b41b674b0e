/**
 * Removes from a watcher's SetEncodings the pseudo-encodings by which a client offers to send more than the base protocol.
 * The server then announces none of these extensions, and the client does not use them. The encodings of the picture, of the
 * cursor and of its size remain.
 *
 * Extensions whose messages have a known size remain if the client needs them once it is given control: QEMU's extended key
 * events (-258), by which it types in any keyboard layout, and QEMU's pointer motion change (-257), by which the server says
 * whether coordinates are relative.
 */

import { EXTENDED_MOUSE_BUTTONS } from './wire/rectangles.ts'

const HEADER_BYTES = 4
const COUNT_AT = 2

/** The removed pseudo-encodings. */
const removed: ReadonlySet<number> = new Set([
  // Makes some PointerEvents longer.
  EXTENDED_MOUSE_BUTTONS,
  // xvp: a page would offer to reset the machine.
  -309,
  // gii: events refer to a device that the client creates once, by a message that is withheld from a watcher's server.
  -305,
  // QEMU's audio: a client has to enable it, by a message that is withheld.
  -259,
  // The extended clipboard: a client has to request the text, by a message that is withheld. Without it, the server sends the text.
  0xc0a1e5ce | 0,
])

/** The maximum size of a list whose encodings are read. The specification registers about a hundred. */
export const MAX_SET_ENCODINGS_BYTES = HEADER_BYTES + 4 * 256

/** Returns a SetEncodings message without the removed encodings. */
export function withoutExtensions(message: Buffer): Buffer {
  const kept = encodingsOf(message).filter((encoding) => !removed.has(encoding))
  const filtered = Buffer.alloc(HEADER_BYTES + 4 * kept.length)
  message.copy(filtered, 0, 0, COUNT_AT)
  filtered.writeUInt16BE(kept.length, COUNT_AT)
  for (const [i, encoding] of kept.entries()) filtered.writeInt32BE(encoding, HEADER_BYTES + 4 * i)
  return filtered
}

export const listsExtendedMouseButtons = (message: Buffer): boolean =>
  encodingsOf(message).includes(EXTENDED_MOUSE_BUTTONS)

/** Reads the list of a SetEncodings message. */
export function encodingsOf(message: Buffer): number[] {
  return Array.from({ length: message.readUInt16BE(COUNT_AT) }, (_, i) => message.readInt32BE(HEADER_BYTES + 4 * i))
}
