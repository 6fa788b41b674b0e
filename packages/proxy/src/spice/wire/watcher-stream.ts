/**
 * Reads what a watcher's client sends on one SPICE connection, and decides which bytes the server gets: the link of a channel
 * that a watcher may open, the ticket, and every message that is not withheld. Other channels end the connection.
 */
import { Gathered } from '../../hypervisor/gathered.ts'
import { has, headerFormat } from './capabilities.ts'
import { Framer } from './framing.ts'
import {
  ENCRYPTED_TICKET_BYTES,
  HEADER_BYTES,
  LinkFault,
  type LinkMessage,
  type LinkReply,
  parseClientHeader,
  parseLinkMessage,
  parseLinkReply,
  parseServerHeader,
} from './link.ts'
import { type ChannelName, channelName, commonCapabilities, MECHANISM_SPICE } from './protocol.ts'
import { hiddenFrom, isWithheld } from './watcher-policy.ts'

const NOTHING = Buffer.alloc(0)
const NO_CHANNELS: ReadonlySet<ChannelName> = new Set()
const MECHANISM_BYTES = 4

type State =
  | { readonly at: 'link header' }
  | { readonly at: 'link body'; readonly header: Buffer; readonly bodyBytes: number }
  | { readonly at: 'reply'; readonly link: LinkMessage; readonly name: ChannelName }
  | { readonly at: 'mechanism' | 'ticket'; readonly name: ChannelName; readonly framer: Framer }
  | { readonly at: 'messages'; readonly name: ChannelName; readonly framer: Framer }

export class WatcherStream {
  #state: State = { at: 'link header' }
  /** The client's bytes that wait for the rest of a step. */
  #held: Buffer = NOTHING
  readonly #reply = new ReplyReader()

  /** Inspects what the server sends, of which only the reply to the link matters. @throws LinkFault */
  fromServer(bytes: Buffer): void {
    this.#reply.push(bytes)
  }

  /**
   * Returns the bytes to forward of those that the client sends.
   * @throws LinkFault for a withheld channel, and for a client that does not follow the protocol
   */
  fromClient(bytes: Buffer): Buffer {
    const forwarded: Buffer[] = []
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes])
    for (;;) {
      const step = this.#step()
      if (step === undefined) break
      forwarded.push(...step)
    }
    // A copy, so that the few bytes do not keep the memory of a whole message.
    if (this.#held.length > 0) this.#held = Buffer.from(this.#held)
    return forwarded.length === 1 ? forwarded[0]! : Buffer.concat(forwarded)
  }

  /** Does one step of the protocol, and returns the bytes to forward; `undefined` while bytes are missing for it. */
  #step(): Buffer[] | undefined {
    const state = this.#state
    switch (state.at) {
      case 'link header':
        return this.#take(HEADER_BYTES, (header) => this.#readHeader(header))
      case 'link body':
        return this.#take(state.bodyBytes, (body) => this.#readBody(state.header, body))
      case 'reply':
        return this.#readReply(state.link, state.name)
      case 'mechanism':
        return this.#take(MECHANISM_BYTES, (mechanism) => this.#readMechanism(mechanism, { ...state, at: 'ticket' }))
      case 'ticket':
        return this.#take(ENCRYPTED_TICKET_BYTES, (ticket) => this.#become({ ...state, at: 'messages' }, ticket))
      case 'messages':
        return this.#readMessages(state)
    }
  }

  #take(length: number, read: (bytes: Buffer) => Buffer[]): Buffer[] | undefined {
    if (this.#held.length < length) return undefined
    const taken = this.#held.subarray(0, length)
    this.#held = this.#held.subarray(length)
    return read(taken)
  }

  #become(state: State, ...forwarded: Buffer[]): Buffer[] {
    this.#state = state
    return forwarded
  }

  #readHeader(header: Buffer): Buffer[] {
    return this.#become({ at: 'link body', header: Buffer.from(header), bodyBytes: parseClientHeader(header) })
  }

  #readBody(header: Buffer, body: Buffer): Buffer[] {
    const link = parseLinkMessage(body)
    const name = channelName(link.channelType)
    if (name === undefined) throw new LinkFault('channel_not_available', `channel type ${link.channelType}`)
    if (hiddenFrom('watch', NO_CHANNELS).has(name))
      throw new LinkFault('channel_not_available', `a watcher may not open the channel ${name}`)
    return this.#become({ at: 'reply', link, name }, header, body)
  }

  /** A client needs the key in the reply before it can send its ticket. */
  #readReply(link: LinkMessage, name: ChannelName): Buffer[] | undefined {
    const { reply } = this.#reply
    if (this.#held.length > MECHANISM_BYTES + ENCRYPTED_TICKET_BYTES && reply === undefined)
      throw new LinkFault('invalid_data', `${this.#held.length} bytes before the reply to the link`)
    if (reply === undefined) return undefined
    const both = reply.common.map((word, i) => word & (link.common[i] ?? 0))
    const at = has(both, commonCapabilities.authSelection) ? 'mechanism' : 'ticket'
    return this.#become({ at, name, framer: new Framer(headerFormat(both)) })
  }

  #readMechanism(mechanism: Buffer, next: State): Buffer[] {
    const number = mechanism.readUInt32LE()
    if (number !== MECHANISM_SPICE) throw new LinkFault('invalid_data', `authentication mechanism ${number}`)
    return this.#become(next, mechanism)
  }

  #readMessages({ name, framer }: Extract<State, { at: 'messages' }>): Buffer[] | undefined {
    if (this.#held.length === 0) return undefined
    const chunk = this.#held
    this.#held = NOTHING
    const kept: Buffer[] = []
    for (const { message, bytes } of framer.push(chunk)) {
      if (message.subList !== 0) throw new LinkFault('invalid_data', 'a message with sub-messages')
      if (!isWithheld(name, message.type)) kept.push(bytes)
    }
    return kept
  }
}

/** Reads the server's reply to a link, from pieces of any size. Ignores all later bytes. */
class ReplyReader {
  reply: LinkReply | undefined
  #gathered: Gathered | undefined = new Gathered()

  /** @throws LinkFault */
  push(bytes: Buffer): void {
    if (this.#gathered === undefined) return
    this.#gathered.append(bytes.subarray(0, MAX_REPLY_BYTES))
    if (this.#gathered.length < HEADER_BYTES) return
    const all = this.#gathered.take()
    const end = HEADER_BYTES + parseServerHeader(all.subarray(0, HEADER_BYTES))
    if (all.length < end) this.#gathered.append(all)
    else {
      this.#gathered = undefined
      this.reply = parseLinkReply(all.subarray(HEADER_BYTES, end))
    }
  }
}

/** More than the longest reply that `parseServerHeader` accepts. */
const MAX_REPLY_BYTES = 8192
