/**
 * Security type VeNCrypt, version 0.2, with the only subtype X509None (the RFB community specification, section VeNCrypt):
 * both sides negotiate the version and the subtype in plaintext, then start TLS. SecurityResult follows inside TLS.
 */
import { securityTypeName, securityTypes, u32 } from '../wire/protocol.ts'
import type { ByteReader } from '../wire/reader.ts'
import { type HypervisorStream, SecurityFailed, type SecurityType } from './security-type.ts'

/** The specification's subtypes. Those with the prefix TLS use no certificate, so the server is not authenticated. */
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
// The specification uses opposite values for the two acknowledgements.
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

/** The server sends its highest version, and the client the version to use. The messages of 0.1 have another format. */
async function agreeOnVersion({ reader, write }: HypervisorStream): Promise<void> {
  const [major, minor] = await readVersion(reader)
  if (major === 0 && minor < VERSION.minor)
    throw new SecurityFailed(`the hypervisor speaks VeNCrypt ${major}.${minor}, but 0.2 is required`)
  write(Buffer.of(VERSION.major, VERSION.minor))
  const result = await reader.readU8()
  if (result !== ACCEPTS_VERSION) throw new SecurityFailed(`the hypervisor rejected VeNCrypt 0.2: result ${result}`)
}

async function chooseSubtype({ reader, write }: HypervisorStream): Promise<void> {
  const offered = await readSubtypes(reader)
  if (!offered.includes(subtypes.X509None)) {
    const names = offered.map(subtypeName).join(', ') || 'no VeNCrypt subtype'
    throw new SecurityFailed(`the hypervisor offers ${names}; only X509None (260) is supported`)
  }
  write(u32(subtypes.X509None))
  const result = await reader.readU8()
  if (result !== ACCEPTS_SUBTYPE)
    throw new SecurityFailed(`the hypervisor rejected the VeNCrypt subtype X509None: result ${result}`)
}

async function readVersion(reader: ByteReader): Promise<[major: number, minor: number]> {
  return [await reader.readU8(), await reader.readU8()]
}

/** Reads a list of subtypes: a U8 with their number, then a U32 for each, at most 1020 bytes. */
async function readSubtypes(reader: ByteReader): Promise<number[]> {
  const count = await reader.readU8()
  const bytes = await reader.read(count * 4)
  return Array.from({ length: count }, (_, i) => bytes.readUInt32BE(i * 4))
}

/** Formats a subtype, such as `X509None (260)`. Numbers below 256 are RFB's security types. */
function subtypeName(subtype: number): string {
  const name = Object.entries(subtypes).find(([, value]) => value === subtype)?.[0]
  return name === undefined ? securityTypeName(subtype) : `${name} (${subtype})`
}
