/**
 * Security type VeNCrypt, version 0.2, with the subtypes X509None and X509Vnc (the RFB community specification, section
 * VeNCrypt): both sides negotiate the version and the subtype in plaintext, then start TLS. The challenge of X509Vnc and
 * SecurityResult follow inside TLS.
 */
import type { Secret } from '@oriel/runtime'
import { securityTypeName, securityTypes, u32 } from '../wire/protocol.ts'
import type { ByteReader } from '../wire/reader.ts'
import { type HypervisorStream, SecurityFailed, type SecurityType } from './security-type.ts'
import { answerChallenge, PASSWORD_REMEDY } from './vnc-authentication.ts'

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

/** @param password for a server that requires one inside TLS. Default: X509None only */
export const vencrypt = (password?: Secret): SecurityType => ({
  number: securityTypes.VeNCrypt,
  secure: async (stream) => {
    await agreeOnVersion(stream)
    const subtype = await chooseSubtype(stream, password ? ['X509None', 'X509Vnc'] : ['X509None'])
    await stream.startTls()
    if (password && subtype === 'X509Vnc') await answerChallenge(stream, password)
  },
})

type Subtype = keyof typeof subtypes

/** The server sends its highest version, and the client the version to use. The messages of 0.1 have another format. */
async function agreeOnVersion({ reader, write }: HypervisorStream): Promise<void> {
  const [major, minor] = await readVersion(reader)
  if (major === 0 && minor < VERSION.minor)
    throw new SecurityFailed(`the hypervisor speaks VeNCrypt ${major}.${minor}, but 0.2 is required`)
  write(Buffer.of(VERSION.major, VERSION.minor))
  const result = await reader.readU8()
  if (result !== ACCEPTS_VERSION) throw new SecurityFailed(`the hypervisor rejected VeNCrypt 0.2: result ${result}`)
}

/** Chooses the first of `accepted` that the server offers. */
async function chooseSubtype({ reader, write }: HypervisorStream, accepted: readonly Subtype[]): Promise<Subtype> {
  const offered = await readSubtypes(reader)
  const chosen = accepted.find((name) => offered.includes(subtypes[name]))
  if (chosen === undefined) throw new SecurityFailed(`the hypervisor offers ${noneOf(offered, accepted)}`)
  write(u32(subtypes[chosen]))
  const result = await reader.readU8()
  if (result !== ACCEPTS_SUBTYPE)
    throw new SecurityFailed(`the hypervisor rejected the VeNCrypt subtype ${chosen}: result ${result}`)
  return chosen
}

function noneOf(offered: readonly number[], accepted: readonly Subtype[]): string {
  const names = offered.map(subtypeName).join(', ') || 'no VeNCrypt subtype'
  const usable = accepted.map((name) => subtypeName(subtypes[name])).join(' and ')
  const lacksPassword = offered.includes(subtypes.X509Vnc) ? `, or X509Vnc (261) with ${PASSWORD_REMEDY}` : ''
  return `${names}; only ${usable} ${accepted.length === 1 ? 'is' : 'are'} supported${lacksPassword}`
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
