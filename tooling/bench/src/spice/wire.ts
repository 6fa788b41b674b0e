/** The part of SPICE that both ends of a measurement use (spice-protocol 0.14). All integers are little endian. */

export const channels = { main: 1, display: 2, inputs: 3, cursor: 4 } as const

/** AUTH_SELECTION, AUTH_SPICE, MINI_HEADER: the common capabilities of both ends. */
export const common = 0x0b
/** `REDQ`, version 2.2, the length of the message. */
export const LINK_HEADER_BYTES = 16
/** The selected authentication mechanism, and the ticket encrypted with an RSA key of 1024 bits. */
export const TICKET_BYTES = 4 + 128

/** Encodes a link message or reply: its fields, then capabilities. */
export function linkMessage(fields: Buffer, commonWords: readonly number[], words: readonly number[]): Buffer {
  const counts = [commonWords.length, words.length, fields.length + 12]
  const body = Buffer.concat([fields, ...[...counts, ...commonWords, ...words].map(u32)])
  return Buffer.concat([Buffer.from('REDQ'), u32(2), u32(2), u32(body.length), body])
}

/** Encodes a message with the mini header. */
export function message(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(6)
  header.writeUInt16LE(type)
  header.writeUInt32LE(body.length, 2)
  return Buffer.concat([header, body])
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** Returns the UUID of guest n. */
export const instanceOf = (guest: number): string => `00000000-0000-4000-8000-${String(guest).padStart(12, '0')}`
