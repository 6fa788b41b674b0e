/**
 * Parses and builds the link messages that open every SPICE connection. All integers are little endian.
 * Source: spice-protocol's `spice/protocol.h`; the limits are those of spice-server, or stricter.
 */
import { type LinkErrorName, linkErrors, MAGIC, MAJOR_VERSION, MINOR_VERSION } from './protocol.ts'

/** The header of every link message and reply: `REDQ`, major version, minor version, size of the body. */
export const HEADER_BYTES = 16
/** The RSA key in a reply: a DER SubjectPublicKeyInfo with a 1024-bit modulus. */
export const PUBLIC_KEY_BYTES = 162
/** A ticket that is encrypted with such a key. */
export const ENCRYPTED_TICKET_BYTES = 128
/** The size of the body without capabilities. */
const MESSAGE_BYTES = 18
const REPLY_BYTES = 4 + PUBLIC_KEY_BYTES + 12
const MAX_BODY_BYTES = 4096
const MAX_WORDS = 32

/** Capability bits as 32-bit words. Each sender chooses the number of words. */
export type Capabilities = readonly number[]

/** A client's request for one channel. */
export interface LinkMessage {
  /** 0 for the main channel of a new session, else the session's id. */
  readonly connectionId: number
  readonly channelType: number
  readonly channelId: number
  readonly common: Capabilities
  readonly channel: Capabilities
}

/** A server's reply. An error reply has neither key nor capabilities. */
export interface LinkReply {
  readonly error: number
  readonly publicKey: Buffer
  readonly common: Capabilities
  readonly channel: Capabilities
}

/** Thrown for a malformed link. `linkError` is the error for its sender. */
export class LinkFault extends Error {
  override readonly name = 'LinkFault'
  readonly linkError: LinkErrorName

  constructor(linkError: LinkErrorName, detail: string) {
    super(detail)
    this.linkError = linkError
  }
}

/**
 * Parses a client's header and returns the size of the body that follows.
 * @param header the first 16 bytes
 * @throws LinkFault
 */
export function parseClientHeader(header: Buffer): number {
  return parseHeader(header, MESSAGE_BYTES)
}

/** Parses a server's header and returns the size of the body that follows. @throws LinkFault */
export function parseServerHeader(header: Buffer): number {
  return parseHeader(header, REPLY_BYTES)
}

/** @param body the whole body, without the header. @throws LinkFault */
export function parseLinkMessage(body: Buffer): LinkMessage {
  requireLength(body, MESSAGE_BYTES)
  return {
    connectionId: body.readUInt32LE(0),
    channelType: body.readUInt8(4),
    channelId: body.readUInt8(5),
    ...parseCapabilities(body, 6, MESSAGE_BYTES),
  }
}

/** @param body the whole body, without the header. @throws LinkFault */
export function parseLinkReply(body: Buffer): LinkReply {
  requireLength(body, REPLY_BYTES)
  const error = body.readUInt32LE(0)
  const publicKey = body.subarray(4, 4 + PUBLIC_KEY_BYTES)
  if (error !== linkErrors.ok) return { error, publicKey: Buffer.alloc(0), common: [], channel: [] }
  return { error, publicKey, ...parseCapabilities(body, 4 + PUBLIC_KEY_BYTES, REPLY_BYTES) }
}

/** Builds a link message with its header. */
export function buildLinkMessage({ connectionId, channelType, channelId, common, channel }: LinkMessage): Buffer {
  const fixed = Buffer.alloc(6)
  fixed.writeUInt32LE(connectionId, 0)
  fixed.writeUInt8(channelType, 4)
  fixed.writeUInt8(channelId, 5)
  return withHeader(Buffer.concat([fixed, capabilities(common, channel, MESSAGE_BYTES)]))
}

/** Builds a reply that accepts the link, with its header. */
export function buildLinkReply({ publicKey, common, channel }: Omit<LinkReply, 'error'>): Buffer {
  if (publicKey.length !== PUBLIC_KEY_BYTES)
    throw new RangeError(`the RSA public key has ${publicKey.length} bytes as DER; SPICE needs ${PUBLIC_KEY_BYTES}`)
  return withHeader(Buffer.concat([u32(linkErrors.ok), publicKey, capabilities(common, channel, REPLY_BYTES)]))
}

/** Builds a reply that refuses the link: every field except the error code is zero. */
export function buildLinkErrorReply(error: LinkErrorName): Buffer {
  const body = Buffer.alloc(REPLY_BYTES)
  body.writeUInt32LE(linkErrors[error], 0)
  return withHeader(body)
}

/** Builds the result that a server sends after it has checked the ticket. */
export const buildResult = (error: LinkErrorName): Buffer => u32(linkErrors[error])

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function parseHeader(header: Buffer, minBodyBytes: number): number {
  if (!header.subarray(0, 4).equals(MAGIC))
    throw new LinkFault('invalid_magic', `begins with ${header.toString('hex', 0, 4)}`)
  const major = header.readUInt32LE(4)
  if (major !== MAJOR_VERSION) throw new LinkFault('version_mismatch', `major version ${major}`)
  const size = header.readUInt32LE(12)
  if (size < minBodyBytes || size > MAX_BODY_BYTES) throw new LinkFault('invalid_data', `a body of ${size} bytes`)
  return size
}

function parseCapabilities(body: Buffer, at: number, minOffset: number): Pick<LinkMessage, 'common' | 'channel'> {
  const [commons, channels, offset] = [body.readUInt32LE(at), body.readUInt32LE(at + 4), body.readUInt32LE(at + 8)]
  // Check the counts before computing sizes from them.
  if (commons > MAX_WORDS || channels > MAX_WORDS)
    throw new LinkFault('invalid_data', `${commons} and ${channels} words`)
  if (offset < minOffset || offset > body.length) throw new LinkFault('invalid_data', `capabilities at ${offset}`)
  requireLength(body, offset + 4 * (commons + channels))
  const words = Array.from({ length: commons + channels }, (_, i) => body.readUInt32LE(offset + 4 * i))
  return { common: words.slice(0, commons), channel: words.slice(commons) }
}

function requireLength(body: Buffer, bytes: number): void {
  if (body.length < bytes) throw new LinkFault('invalid_data', `${body.length} bytes where ${bytes} are needed`)
}

const capabilities = (common: Capabilities, channel: Capabilities, offset: number) =>
  Buffer.concat([common.length, channel.length, offset, ...common, ...channel].map(u32))

const withHeader = (body: Buffer) =>
  Buffer.concat([MAGIC, u32(MAJOR_VERSION), u32(MINOR_VERSION), u32(body.length), body])
