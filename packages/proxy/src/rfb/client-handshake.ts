/**
 * The RFB handshake towards the client, in which the proxy is the server (RFC 6143 section 7.1). It offers version 3.8
 * and security type None alone: a token has admitted the client already, and the WebSocket's TLS protects the bytes.
 */
import type { HandshakeStream } from './security/security-type.ts'
import {
  commonVersion,
  PROTOCOL_VERSION_BYTES,
  protocolVersion,
  type RfbVersion,
  securityResults,
  securityTypes,
  u32,
} from './wire/protocol.ts'

/** The client does not follow the protocol. */
export class ClientProtocolError extends Error {
  override readonly name = 'ClientProtocolError'
}

type State =
  | { readonly at: 'ProtocolVersion' }
  | { readonly at: 'security'; readonly version: RfbVersion }
  | { readonly at: 'done' }

/**
 * Completes the handshake with the client, up to where its ClientInit follows.
 * @throws ClientProtocolError, or what the reader failed with
 */
export async function shakeClient(stream: HandshakeStream): Promise<void> {
  stream.write(protocolVersion('3.8'))
  let state: State = { at: 'ProtocolVersion' }
  while (state.at !== 'done') state = await next(stream, state)
}

function next(stream: HandshakeStream, state: State): Promise<State> | State {
  switch (state.at) {
    case 'ProtocolVersion':
      return readVersion(stream)
    case 'security':
      return offers[state.version](stream)
    case 'done':
      return state
  }
}

async function readVersion({ reader }: HandshakeStream): Promise<State> {
  const answer = await reader.read(PROTOCOL_VERSION_BYTES)
  const version = commonVersion(answer)
  if (version === undefined) throw new ClientProtocolError(`it answers ${answer.toString('hex')} to the RFB version`)
  return { at: 'security', version }
}

/** How each version offers None, and whether a SecurityResult follows (section 7.2.1 and appendix A). */
const offers = {
  '3.3': async ({ write }) => {
    write(u32(securityTypes.None))
    return done
  },
  '3.7': async (stream) => {
    await offerList(stream)
    return done
  },
  '3.8': async (stream) => {
    await offerList(stream)
    stream.write(u32(securityResults.ok))
    return done
  },
} as const satisfies Record<RfbVersion, (stream: HandshakeStream) => Promise<State>>

const done: State = { at: 'done' }

async function offerList({ reader, write }: HandshakeStream): Promise<void> {
  write(Buffer.of(1, securityTypes.None))
  const chosen = await reader.readU8()
  if (chosen !== securityTypes.None)
    throw new ClientProtocolError(`it chose security type ${chosen}, which was not offered`)
}
