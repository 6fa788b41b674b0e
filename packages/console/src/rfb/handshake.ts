/** RFC 6143 sections 7.1 to 7.3: everything before the first picture. */
import { ProtocolError } from '../errors.ts'
import { MAX_READ_BYTES, type Reading, readAtMost } from './wire/feed.ts'
import { u16, u32 } from './wire/integers.ts'

const NONE = 1
const OK = 0
const MAX_NAME_BYTES = 4096
const MAX_REASON_BYTES = 1024

/** What ServerInit says. */
export interface ServerInit {
  readonly width: number
  readonly height: number
  /** The name of the desktop. */
  readonly name: string
}

export interface HandshakeEvents {
  send(bytes: Uint8Array): void
  /** The handshake has reached this step. */
  onState(state: string): void
}

/**
 * Performs the handshake with security type None: a proxy of consoles has authenticated the client by its token already.
 * @param isShared whether other clients may stay connected
 * @throws ProtocolError for a server that is not RFB, wants a password, or refuses
 */
export function* handshake(isShared: boolean, { send, onState }: HandshakeEvents): Reading<ServerInit> {
  onState('version')
  const minor = minorVersion(yield 12)
  send(new TextEncoder().encode(`RFB 003.00${minor}\n`))
  onState('security')
  if (minor === 3) yield* decidedSecurity()
  else send(yield* chosenSecurity())
  if (minor === 8) {
    onState('security-result')
    if (u32(yield 4, 0) !== OK) throw new ProtocolError(`The server refused: ${yield* reason()}`)
  }
  send(Uint8Array.of(isShared ? 1 : 0))
  onState('init')
  return yield* serverInit()
}

/** Versions above 3.8 exist, and all serve clients of 3.8 (section 7.1.1). Others than 3.3 and 3.7 count as 3.3. */
function minorVersion(bytes: Uint8Array): 3 | 7 | 8 {
  const [, major, minor] = /^RFB (\d{3})\.(\d{3})\n$/.exec(String.fromCharCode(...bytes)) ?? []
  if (major === undefined || Number(major) < 3) throw new ProtocolError('The server does not speak RFB')
  if (Number(major) > 3 || Number(minor) >= 8) return 8
  return Number(minor) === 7 ? 7 : 3
}

/** In 3.3 the server decides. */
function* decidedSecurity(): Reading<void> {
  const type = u32(yield 4, 0)
  if (type === 0) throw new ProtocolError(`The server refused: ${yield* reason()}`)
  if (type !== NONE) throw needsPassword([type])
}

function* chosenSecurity(): Reading<Uint8Array> {
  const count = (yield 1)[0]!
  if (count === 0) throw new ProtocolError(`The server refused: ${yield* reason()}`)
  const types = [...(yield count)]
  if (!types.includes(NONE)) throw needsPassword(types)
  return Uint8Array.of(NONE)
}

const needsPassword = (types: readonly number[]) =>
  new ProtocolError(`The server offers only security types that need a password (${types.join(', ')})`)

function* reason(): Reading<string> {
  const length = u32(yield 4, 0)
  if (length > MAX_READ_BYTES) return 'with a reason that is too long'
  return JSON.stringify(new TextDecoder().decode(yield* readAtMost(length, MAX_REASON_BYTES)))
}

function* serverInit(): Reading<ServerInit> {
  const init = yield 24
  const [width, height, length] = [u16(init, 0), u16(init, 2), u32(init, 20)]
  const name = new TextDecoder().decode(yield* readAtMost(length, MAX_NAME_BYTES))
  return { width, height, name }
}
