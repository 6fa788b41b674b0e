/**
 * Security type VeNCrypt, version 0.2, with subtype X509None alone (the RFB community specification, section VeNCrypt):
 * both sides agree on a version and a subtype in clear, then TLS begins, and SecurityResult follows within it.
 */
import { securityTypeName, securityTypes, u32 } from '../wire/protocol.ts'
import type { ByteReader } from '../wire/reader.ts'
import { type HypervisorStream, SecurityFailed, type SecurityType } from './security-type.ts'

/** Codes of the specification. Those that begin with TLS use no certificate, so the server is not authenticated. */
export const subtypes = {
  Plain: 256,
  TLSNone: 257,
  TLSVnc: 258,
  TLSPlain: 259,
  X509None: 260,
  X509Vnc: 261,
  X509Plain: 262,
  TLSSASL: 263,
  X509SASL: 264,
  Ident: 265,
  TLSIdent: 266,
  X509Ident: 267,
} as const

const VERSION = { major: 0, minor: 2 } as const
/** Zero accepts the version, one accepts the subtype. */
const ACCEPTS_VERSION = 0
const ACCEPTS_SUBTYPE = 1

export const vencrypt: SecurityType = {
  number: securityTypes.VeNCrypt,
  secure: async (stream) => {
    await agreeOnVersion(stream)
    await chooseSubtype(stream)
    await stream.startTls()
  },
}

/** The server names its highest version, the client the one to speak; 0.1 has another form of all that follows. */
async function agreeOnVersion({ reader, write }: HypervisorStream): Promise<void> {
  const [major, minor] = await readVersion(reader)
  if (major === 0 && minor < VERSION.minor) throw new SecurityFailed(`it speaks VeNCrypt ${major}.${minor}, not 0.2`)
  write(Buffer.of(VERSION.major, VERSION.minor))
  const answer = await reader.readU8()
  if (answer !== ACCEPTS_VERSION) throw new SecurityFailed(`it answers ${answer} to VeNCrypt 0.2`)
}

async function chooseSubtype({ reader, write }: HypervisorStream): Promise<void> {
  const offered = await readSubtypes(reader)
  if (!offered.includes(subtypes.X509None)) {
    const names = offered.map(subtypeName).join(', ') || 'no VeNCrypt subtype'
    throw new SecurityFailed(`it offers ${names}; only X509None (260) will do`)
  }
  write(u32(subtypes.X509None))
  const answer = await reader.readU8()
  if (answer !== ACCEPTS_SUBTYPE) throw new SecurityFailed(`it answers ${answer} to VeNCrypt's X509None`)
}

async function readVersion(reader: ByteReader): Promise<[major: number, minor: number]> {
  return [await reader.readU8(), await reader.readU8()]
}

/** A U8 with their number, then a U32 each: at most 1020 bytes. */
async function readSubtypes(reader: ByteReader): Promise<number[]> {
  const count = await reader.readU8()
  const bytes = await reader.read(count * 4)
  return Array.from({ length: count }, (_, i) => bytes.readUInt32BE(i * 4))
}

/** `X509None (260)`. Numbers below 256 are RFB's security types. */
function subtypeName(subtype: number): string {
  const name = Object.entries(subtypes).find(([, value]) => value === subtype)?.[0]
  return name === undefined ? securityTypeName(subtype) : `${name} (${subtype})`
}
