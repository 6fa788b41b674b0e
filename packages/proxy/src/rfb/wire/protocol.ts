/** The constants of the Remote Framebuffer protocol (RFC 6143) that the handshake of section 7.1 uses. */

/** The versions of section 7.1.1. */
export type RfbVersion = '3.3' | '3.7' | '3.8'

/** The size of a ProtocolVersion message, `RFB xxx.yyy\n`. */
export const PROTOCOL_VERSION_BYTES = 12

const messages = {
  '3.3': 'RFB 003.003\n',
  '3.7': 'RFB 003.007\n',
  '3.8': 'RFB 003.008\n',
} as const satisfies Record<RfbVersion, string>

/** Builds the ProtocolVersion message of `version`. */
export const protocolVersion = (version: RfbVersion): Buffer => Buffer.from(messages[version], 'latin1')

/**
 * Returns the version to speak with a peer that sent this ProtocolVersion message; `undefined` if it is malformed.
 * By section 7.1.1, a peer with a version that does not exist, such as 3.5, speaks 3.3.
 */
export function commonVersion(message: Uint8Array): RfbVersion | undefined {
  const found = /^RFB (\d{3})\.(\d{3})\n$/.exec(Buffer.from(message).toString('latin1'))
  if (!found) return undefined
  const [major, minor] = [Number(found[1]), Number(found[2])]
  if (major < 3 || (major === 3 && minor < 3)) return undefined
  if (major > 3 || minor >= 8) return '3.8'
  return minor === 7 ? '3.7' : '3.3'
}

/** The numbers of security types (section 7.1.2 and the registry of IANA). Most are only named in the log. */
export const securityTypes = {
  Invalid: 0,
  None: 1,
  VncAuthentication: 2,
  Tight: 16,
  VeNCrypt: 19,
  Sasl: 20,
} as const

/** Formats a security type, such as `None (1)`, or only the number of an unknown one. */
export function securityTypeName(type: number): string {
  const name = Object.entries(securityTypes).find(([, value]) => value === type)?.[0]
  return name === undefined ? String(type) : `${name} (${type})`
}

/** The values of SecurityResult (section 7.1.3). */
export const securityResults = { ok: 0, failed: 1 } as const

/** Encodes a U32, which is big endian in RFB. */
export function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}
