/** Reads the client's link message and ticket, and builds the reply. */
import { commonForClient, has, serverCapabilities } from './capabilities.ts'
import {
  buildLinkReply,
  ENCRYPTED_TICKET_BYTES,
  HEADER_BYTES,
  LinkFault,
  type LinkMessage,
  parseClientHeader,
  parseLinkMessage,
} from './link.ts'
import { type ChannelName, channelName, commonCapabilities, MAGIC, MECHANISM_SPICE } from './protocol.ts'
import type { SocketReader } from './socket-reader.ts'
import type { TicketKey } from './ticket-keys.ts'

/** A link message whose channel type is known. */
export interface ClientLink extends LinkMessage {
  readonly name: ChannelName
}

/** Thrown when a client sends an HTTP request to the SPICE port. */
export class SpeaksHttp extends Error {
  override readonly name = 'SpeaksHttp'
}

/** @throws LinkFault, SpeaksHttp, SocketEnded */
export async function readLink(reader: SocketReader): Promise<ClientLink> {
  const start = await reader.read(MAGIC.length)
  if (/^(GET|HEAD|POST|PUT|OPTI|CONN|DELE|PATC) ?$/.test(start.toString('latin1')))
    throw new SpeaksHttp('the client sent an HTTP request')
  // Check the magic before awaiting more bytes: a client of another protocol may send none.
  if (!start.equals(MAGIC)) throw new LinkFault('invalid_magic', `begins with ${start.toString('hex')}`)
  const header = Buffer.concat([start, await reader.read(HEADER_BYTES - MAGIC.length)])
  const message = parseLinkMessage(await reader.read(parseClientHeader(header)))
  const name = channelName(message.channelType)
  if (name === undefined) throw new LinkFault('channel_not_available', `channel type ${message.channelType}`)
  return { ...message, name }
}

/** Builds the reply that accepts the link. The client sends its ticket next. */
export function replyTo({ common, name }: ClientLink, key: TicketKey): Buffer {
  return buildLinkReply({
    publicKey: key.publicKey,
    common: commonForClient(common),
    channel: serverCapabilities[name],
  })
}

/** Reads the client's ticket. Returns `undefined` if it is malformed. @throws LinkFault, SocketEnded */
export async function readTicket(
  reader: SocketReader,
  { common }: ClientLink,
  key: TicketKey,
): Promise<string | undefined> {
  if (has(common, commonCapabilities.authSelection)) {
    const mechanism = (await reader.read(4)).readUInt32LE()
    if (mechanism !== MECHANISM_SPICE) throw new LinkFault('invalid_data', `authentication mechanism ${mechanism}`)
  }
  return key.decrypt(await reader.read(ENCRYPTED_TICKET_BYTES))
}
