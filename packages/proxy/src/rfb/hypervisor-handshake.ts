/**
 * The RFB handshake with the hypervisor, in which the proxy is the client (RFC 6143 section 7.1). It ends before ClientInit:
 * the browser sends that message and all later ones.
 */
import {
  type HandshakeStream,
  type HypervisorStream,
  SecurityFailed,
  type SecurityType,
} from './security/security-type.ts'
import {
  commonVersion,
  PROTOCOL_VERSION_BYTES,
  protocolVersion,
  type RfbVersion,
  securityResults,
  securityTypeName,
  securityTypes,
} from './wire/protocol.ts'

/** Thrown when the server at that address does not speak RFB. */
export class NotRfb extends Error {
  override readonly name = 'NotRfb'
}

/** The maximum number of bytes that are read of a reason for a refusal: a hypervisor can announce up to 4 GiB. */
const MAX_REASON_BYTES = 512

type State =
  | { readonly at: 'ProtocolVersion' }
  | { readonly at: 'security'; readonly version: RfbVersion }
  | { readonly at: 'SecurityResult'; readonly version: RfbVersion; readonly type: SecurityType }
  | { readonly at: 'done' }

/**
 * Performs the handshake with the first of the `accepted` types that the hypervisor offers.
 * @throws SecurityFailed; NotRfb; the error with which the reader failed
 */
export async function performHypervisorHandshake(
  stream: HypervisorStream,
  accepted: readonly SecurityType[],
): Promise<void> {
  let state: State = { at: 'ProtocolVersion' }
  while (state.at !== 'done') state = await next(stream, accepted, state)
}

function next(stream: HypervisorStream, accepted: readonly SecurityType[], state: State): Promise<State> | State {
  switch (state.at) {
    case 'ProtocolVersion':
      return agreeOnVersion(stream)
    case 'security':
      return state.version === '3.3' ? takeType(stream, accepted) : chooseType(stream, accepted, state.version)
    case 'SecurityResult':
      return readResult(stream, state)
    case 'done':
      return state
  }
}

async function agreeOnVersion({ reader, write }: HandshakeStream): Promise<State> {
  const greeting = await reader.read(PROTOCOL_VERSION_BYTES)
  const version = commonVersion(greeting)
  if (version === undefined) throw new NotRfb(`the server does not speak RFB: it sent ${greeting.toString('hex')}`)
  write(protocolVersion(version))
  return { at: 'security', version }
}

/** In version 3.3 the server chooses the type, as a U32 (section 7.1.2). It has no VeNCrypt, which came later. */
async function takeType(stream: HypervisorStream, accepted: readonly SecurityType[]): Promise<State> {
  const offered = await stream.reader.readU32()
  if (offered === securityTypes.Invalid) throw await refusal(stream)
  const type = accepted.find(({ number }) => number === offered && number !== securityTypes.VeNCrypt)
  if (type) return secure(stream, type, '3.3')
  const chosen = `the hypervisor speaks RFB 3.3, which has no VeNCrypt, and chose ${namesOf([offered])}`
  throw new SecurityFailed(`${chosen}; configured are ${configured(accepted)}`)
}

/** The server lists types and the client chooses one; a reason follows an empty list (section 7.1.2). */
async function chooseType(
  stream: HypervisorStream,
  accepted: readonly SecurityType[],
  version: RfbVersion,
): Promise<State> {
  const count = await stream.reader.readU8()
  if (count === 0) throw await refusal(stream)
  const type = firstAccepted(accepted, [...(await stream.reader.read(count))])
  stream.write(Buffer.of(type.number))
  return secure(stream, type, version)
}

async function secure(stream: HypervisorStream, type: SecurityType, version: RfbVersion): Promise<State> {
  await type.secure(stream)
  // Before 3.8, no SecurityResult follows None (section 7.2.1 and appendix A).
  const noResult = type.number === securityTypes.None && version !== '3.8'
  return noResult ? { at: 'done' } : { at: 'SecurityResult', version, type }
}

async function readResult(
  stream: HandshakeStream,
  { version, type }: State & { at: 'SecurityResult' },
): Promise<State> {
  const result = await stream.reader.readU32()
  if (result === securityResults.ok) return { at: 'done' }
  if (version === '3.8') throw await refusal(stream)
  throw new SecurityFailed(`the hypervisor rejected security type ${securityTypeName(type.number)}: result ${result}`)
}

function firstAccepted(accepted: readonly SecurityType[], offered: readonly number[]): SecurityType {
  const type = accepted.find(({ number }) => offered.includes(number))
  if (type) return type
  throw new SecurityFailed(`the hypervisor offers ${namesOf(offered)}; configured are ${configured(accepted)}`)
}

const namesOf = (types: readonly number[]) => types.map(securityTypeName).join(', ')
const configured = (accepted: readonly SecurityType[]) => namesOf(accepted.map(({ number }) => number))

/** Reads the reason that follows a refusal, up to {@link MAX_REASON_BYTES}. */
async function refusal({ reader }: HandshakeStream): Promise<SecurityFailed> {
  const length = Math.min(await reader.readU32(), MAX_REASON_BYTES)
  // QEMU counts the terminating NUL as part of the reason.
  const reason = (await reader.read(length)).toString('utf8').replace(/\0$/, '')
  return new SecurityFailed(`the hypervisor refused: ${JSON.stringify(reason)}`)
}
