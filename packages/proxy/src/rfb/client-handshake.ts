/**
 * The RFB handshake with the client, in which the proxy is the server (RFC 6143 section 7.1). It offers version 3.8 and only
 * the security type None: the client has been admitted by its token, and TLS protects the WebSocket.
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

/** Thrown when the client violates the protocol. */
export class ClientProtocolError extends Error {
  override readonly name = 'ClientProtocolError'
}

type State =
  | { readonly at: 'ProtocolVersion' }
  | { readonly at: 'security'; readonly version: RfbVersion }
  | { readonly at: 'done' }

/**
 * Performs the handshake. The client's ClientInit follows.
 * @throws ClientProtocolError; the error with which the reader failed
 */
export async function performClientHandshake(stream: HandshakeStream): Promise<void> {
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
  const message = await reader.read(PROTOCOL_VERSION_BYTES)
  const version = commonVersion(message)
  if (version === undefined)
    throw new ClientProtocolError(`the client sent ${message.toString('hex')} as its RFB version`)
  return { at: 'security', version }
}

/** Offers None in each version. Only 3.8 sends a SecurityResult afterwards (section 7.2.1 and appendix A). */
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
    throw new ClientProtocolError(`the client chose security type ${chosen}, which was not offered`)
}
