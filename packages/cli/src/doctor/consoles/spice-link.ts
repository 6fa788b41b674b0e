/**
 * The first messages of SPICE (spice-protocol, `spice/protocol.h`), as far as a check needs them: the client's link message for
 * the channel main, and the server's reply. Without the ticket that follows, the server opens nothing.
 */

const MAGIC = 'REDQ'
const [MAJOR, MINOR] = [2, 2]
const MAIN_CHANNEL = 1
/** AUTH_SELECTION, AUTH_SPICE and MINI_HEADER. */
const COMMON_CAPABILITIES = 0b1011
const HEADER_BYTES = 16
const MESSAGE_BYTES = 18

/** The link message of a client that opens the channel main. */
export function linkMessage(): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + MESSAGE_BYTES + 4)
  bytes.write(MAGIC, 0, 'latin1')
  bytes.writeUInt32LE(MAJOR, 4)
  bytes.writeUInt32LE(MINOR, 8)
  bytes.writeUInt32LE(MESSAGE_BYTES + 4, 12)
  bytes.writeUInt8(MAIN_CHANNEL, HEADER_BYTES + 4)
  bytes.writeUInt32LE(1, HEADER_BYTES + 6)
  bytes.writeUInt32LE(MESSAGE_BYTES, HEADER_BYTES + 14)
  bytes.writeUInt32LE(COMMON_CAPABILITIES, HEADER_BYTES + MESSAGE_BYTES)
  return bytes
}

/** How many bytes of the reply are read: its header and its error code. */
export const REPLY_BYTES = HEADER_BYTES + 4

/** Returns the error code of a link reply, 0 for success, or `undefined` if it is not one. */
export function linkError(reply: Buffer): number | undefined {
  const isReply = reply.length >= REPLY_BYTES && reply.toString('latin1', 0, 4) === MAGIC
  return isReply ? reply.readUInt32LE(HEADER_BYTES) : undefined
}
