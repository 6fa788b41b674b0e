/**
 * The RFB handshake towards the hypervisor, in which the proxy is the client (RFC 6143 section 7.1). It ends where
 * ClientInit would follow: the browser sends that message and all after it.
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

/** The server at that address does not speak RFB. */
export class NotRfb extends Error {
  override readonly name = 'NotRfb'
}

/** The most bytes of a hypervisor's reason that are read; it may claim up to 4 GiB. */
const MAX_REASON_BYTES = 512

type State =
  | { readonly at: 'ProtocolVersion' }
  | { readonly at: 'security'; readonly version: RfbVersion }
  | { readonly at: 'SecurityResult'; readonly version: RfbVersion; readonly type: SecurityType }
  | { readonly at: 'done' }

/**
 * Completes the handshake with the first of `accepted` that the hypervisor offers.
 * @throws SecurityFailed, NotRfb, or what the reader failed with
 */
export async function shakeHypervisor(stream: HypervisorStream, accepted: readonly SecurityType[]): Promise<void> {
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
  if (version === undefined) throw new NotRfb(`it greets with ${greeting.toString('hex')}, which is no RFB version`)
  write(protocolVersion(version))
  return { at: 'security', version }
}

/** Section 7.1.2 for version 3.3: the server decides, as a U32. VeNCrypt came later, so None alone can be taken. */
async function takeType(stream: HypervisorStream, accepted: readonly SecurityType[]): Promise<State> {
  const offered = await stream.reader.readU32()
  if (offered === securityTypes.Invalid) throw await refusal(stream)
  const none = accepted.find(({ number }) => number === securityTypes.None && number === offered)
  if (none) return secure(stream, none, '3.3')
  const decided = `it speaks RFB 3.3, in which there is no VeNCrypt, and decides for ${namesOf([offered])}`
  throw new SecurityFailed(`${decided}; configured are ${configured(accepted)}`)
}

/** Section 7.1.2: the server lists types, the client names one. An empty list is followed by a reason. */
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
  // Only 3.8 sends a SecurityResult after None (section 7.2.1 against appendix A).
  const silent = type.number === securityTypes.None && version !== '3.8'
  return silent ? { at: 'done' } : { at: 'SecurityResult', version, type }
}

async function readResult(
  stream: HandshakeStream,
  { version, type }: State & { at: 'SecurityResult' },
): Promise<State> {
  const result = await stream.reader.readU32()
  if (result === securityResults.ok) return { at: 'done' }
  if (version === '3.8') throw await refusal(stream)
  throw new SecurityFailed(`it answers ${result} to security type ${securityTypeName(type.number)}`)
}

function firstAccepted(accepted: readonly SecurityType[], offered: readonly number[]): SecurityType {
  const type = accepted.find(({ number }) => offered.includes(number))
  if (type) return type
  throw new SecurityFailed(`it offers ${namesOf(offered)}; configured are ${configured(accepted)}`)
}

const namesOf = (types: readonly number[]) => types.map(securityTypeName).join(', ')
const configured = (accepted: readonly SecurityType[]) => namesOf(accepted.map(({ number }) => number))

/** Reads the reason that follows a refusal, up to {@link MAX_REASON_BYTES}. */
async function refusal({ reader }: HandshakeStream): Promise<SecurityFailed> {
  const length = Math.min(await reader.readU32(), MAX_REASON_BYTES)
  const reason = (await reader.read(length)).toString('utf8')
  return new SecurityFailed(`it refuses: ${JSON.stringify(reason)}`)
}
