/** Parses and builds the bodies (without headers) of the main channel's messages that a proxy reads or rewrites. */
import { type ChannelName, channelName, channelTypes } from './protocol.ts'

/** Thrown when a message's body does not match its type. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage'
}

/** Returns the session id in MAIN_INIT. The client sends it to open further channels. */
export function parseInit(body: Buffer): number {
  requireBytes(body, 32, 'INIT')
  return body.readUInt32LE(0)
}

/** Returns the guest's name in MAIN_NAME. */
export function parseName(body: Buffer): string {
  requireBytes(body, 4, 'NAME')
  const length = body.readUInt32LE(0)
  requireBytes(body, 4 + length, 'NAME')
  return body.toString('utf8', 4, 4 + length).replace(/\0.*$/s, '')
}

/** Returns the guest's UUID in MAIN_UUID, in lower case. */
export function parseUuid(body: Buffer): string {
  requireBytes(body, 16, 'UUID')
  return body.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Removes hidden channels from CHANNELS_LIST. */
export function hideChannels(body: Buffer, hidden: ReadonlySet<ChannelName>): Buffer {
  requireBytes(body, 4, 'CHANNELS_LIST')
  const count = body.readUInt32LE(0)
  if (count > body.length) throw new MalformedMessage(`CHANNELS_LIST of ${count} channels`)
  requireBytes(body, 4 + 2 * count, 'CHANNELS_LIST')
  const entries = Array.from({ length: count }, (_, i) => body.subarray(4 + 2 * i, 6 + 2 * i))
  const shown = entries.filter((entry) => !isHidden(entry[0]!, hidden))
  const head = Buffer.alloc(4)
  head.writeUInt32LE(shown.length)
  return Buffer.concat([head, ...shown])
}

/** Whether a channel type is hidden. The main channel cannot be hidden. */
export function isHidden(type: number, hidden: ReadonlySet<ChannelName>): boolean {
  const name = channelName(type)
  return name !== undefined && type !== channelTypes.main && hidden.has(name)
}

/** The target of a live migration in MIGRATE_BEGIN, MIGRATE_BEGIN_SEAMLESS or MIGRATE_SWITCH_HOST. */
export interface MigrationTarget {
  /** 0 if the target has no such port. */
  readonly port: number
  /** 0 if the target has no such port. */
  readonly tlsPort: number
  readonly host: string
  /** The subject that the certificate must have. If empty, the client verifies the host name instead. */
  readonly subject: string
  /** The migration protocol's version. Only in MIGRATE_BEGIN_SEAMLESS. */
  readonly version?: number
}

const FIXED_BYTES = 20
const MAX_TEXT_BYTES = 1024

/** @param seamless whether the message is MIGRATE_BEGIN_SEAMLESS, which contains a version. @throws MalformedMessage */
export function parseMigrationTarget(body: Buffer, seamless: boolean): MigrationTarget {
  requireBytes(body, FIXED_BYTES + (seamless ? 4 : 0), 'MIGRATE')
  return {
    port: body.readUInt16LE(0),
    tlsPort: body.readUInt16LE(2),
    host: textAt(body, body.readUInt32LE(8), body.readUInt32LE(4)),
    subject: textAt(body, body.readUInt32LE(16), body.readUInt32LE(12)),
    ...(seamless ? { version: body.readUInt32LE(20) } : {}),
  }
}

/** Builds the body for a target. An empty subject has offset and length 0. */
export function buildMigrationTarget({ port, tlsPort, host, subject, version }: MigrationTarget): Buffer {
  const texts = [host, subject].map((text) => (text === '' ? Buffer.alloc(0) : Buffer.from(`${text}\0`)))
  const head = Buffer.alloc(FIXED_BYTES + (version === undefined ? 0 : 4))
  head.writeUInt16LE(port, 0)
  head.writeUInt16LE(tlsPort, 2)
  let offset = head.length
  for (const [i, text] of texts.entries()) {
    head.writeUInt32LE(text.length, 4 + 8 * i)
    head.writeUInt32LE(text.length === 0 ? 0 : offset, 8 + 8 * i)
    offset += text.length
  }
  if (version !== undefined) head.writeUInt32LE(version, FIXED_BYTES)
  return Buffer.concat([head, ...texts])
}

function textAt(body: Buffer, offset: number, length: number): string {
  if (length === 0) return ''
  if (length > MAX_TEXT_BYTES) throw new MalformedMessage(`a text of ${length} bytes in MIGRATE`)
  requireBytes(body, offset + length, 'MIGRATE')
  return body.toString('utf8', offset, offset + length).replace(/\0.*$/s, '')
}

function requireBytes(body: Buffer, bytes: number, name: string): void {
  if (body.length < bytes) throw new MalformedMessage(`${name} of ${body.length} bytes, where ${bytes} are needed`)
}
