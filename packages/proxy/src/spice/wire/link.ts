/**
 * The link messages that open every SPICE connection: parsed and built, byte by byte. All integers are little endian.
 * Source: spice-protocol's `spice/protocol.h`; the limits are those of spice-server, or narrower.
 */
import { type LinkErrorName, linkErrors, MAGIC, MAJOR_VERSION, MINOR_VERSION } from './protocol.ts'

/** `REDQ`, major, minor, size: before every link message and reply. */
export const HEADER_BYTES = 16
/** The RSA key of a reply: a DER SubjectPublicKeyInfo of 1024 bits. */
export const PUBLIC_KEY_BYTES = 162
/** A ticket under that key. */
export const ENCRYPTED_TICKET_BYTES = 128
/** What follows the header, without capabilities. */
const MESSAGE_BYTES = 18
const REPLY_BYTES = 4 + PUBLIC_KEY_BYTES + 12
const MAX_BODY_BYTES = 4096
const MAX_WORDS = 32

/** 32-bit words of capability bits, as many as the sender has. */
export type Capabilities = readonly number[]

/** What a client asks for with one connection. */
export interface LinkMessage {
  /** 0 for the main channel of a new session, else the session's id. */
  readonly connectionId: number
  readonly channelType: number
  readonly channelId: number
  readonly common: Capabilities
  readonly channel: Capabilities
}

/** What a server answers. An error reply has neither key nor capabilities. */
export interface LinkReply {
  readonly error: number
  readonly publicKey: Buffer
  readonly common: Capabilities
  readonly channel: Capabilities
}

/** Thrown for a malformed link. `answer` is the link error for its sender. */
export class LinkFault extends Error {
  override readonly name = 'LinkFault'
  readonly answer: LinkErrorName

  constructor(answer: LinkErrorName, detail: string) {
    super(detail)
    this.answer = answer
  }
}

/**
 * The size of what follows a client's header.
 * @param header the first 16 bytes
 * @throws LinkFault
 */
export function parseClientHeader(header: Buffer): number {
  return parseHeader(header, MESSAGE_BYTES)
}

/** The size of what follows a server's header. @throws LinkFault */
export function parseServerHeader(header: Buffer): number {
  return parseHeader(header, REPLY_BYTES)
}

/** @param body what follows the header, whole. @throws LinkFault */
export function parseLinkMessage(body: Buffer): LinkMessage {
  requireLength(body, MESSAGE_BYTES)
  return {
    connectionId: body.readUInt32LE(0),
    channelType: body.readUInt8(4),
    channelId: body.readUInt8(5),
    ...parseCapabilities(body, 6, MESSAGE_BYTES),
  }
}

/** @param body what follows the header, whole. @throws LinkFault */
export function parseLinkReply(body: Buffer): LinkReply {
  requireLength(body, REPLY_BYTES)
  const error = body.readUInt32LE(0)
  const publicKey = body.subarray(4, 4 + PUBLIC_KEY_BYTES)
  if (error !== linkErrors.ok) return { error, publicKey: Buffer.alloc(0), common: [], channel: [] }
  return { error, publicKey, ...parseCapabilities(body, 4 + PUBLIC_KEY_BYTES, REPLY_BYTES) }
}

/** A link message with its header. */
export function buildLinkMessage({ connectionId, channelType, channelId, common, channel }: LinkMessage): Buffer {
  const fixed = Buffer.alloc(6)
  fixed.writeUInt32LE(connectionId, 0)
  fixed.writeUInt8(channelType, 4)
  fixed.writeUInt8(channelId, 5)
  return withHeader(Buffer.concat([fixed, capabilities(common, channel, MESSAGE_BYTES)]))
}

/** A reply that accepts the link, with its header. */
export function buildLinkReply({ publicKey, common, channel }: Omit<LinkReply, 'error'>): Buffer {
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw new RangeError(`the RSA key has ${publicKey.length} bytes`)
  return withHeader(Buffer.concat([u32(linkErrors.ok), publicKey, capabilities(common, channel, REPLY_BYTES)]))
}

/** A reply that refuses the link: all but the error is zero. */
export function buildLinkErrorReply(error: LinkErrorName): Buffer {
  const body = Buffer.alloc(REPLY_BYTES)
  body.writeUInt32LE(linkErrors[error], 0)
  return withHeader(body)
}

/** The result after a ticket. */
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
  // Bounded before anything is computed with them.
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
