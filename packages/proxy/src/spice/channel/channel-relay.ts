/**
 * The relay of one channel. Towards the client, every message begins in a separate TLS record: spice-gtk waits for the
 * socket without checking for bytes that are already decrypted, so it would see a second message in the same record too
 * late. Towards the hypervisor, a message is forwarded once the policy has checked its header.
 */

import type { Socket } from 'node:net'
import type { Logger } from '@oriel/runtime'
import type { Ending } from '../../session/ending.ts'
import type { Channel, SpiceSession } from '../session/session.ts'
import type { SpiceTarget } from '../session/target.ts'
import { Framer, type Piece } from '../wire/framing.ts'
import { objection } from '../wire/message-policy.ts'
import { type ChannelName, type HeaderFormat, serverMessages } from '../wire/protocol.ts'
import type { SocketReader } from '../wire/socket-reader.ts'
import { ChannelFault } from './main-channel.ts'

export interface RelayLeg {
  readonly socket: Socket
  readonly reader: SocketReader
}

export interface ChannelRelayOptions {
  readonly session: SpiceSession
  readonly name: ChannelName
  readonly channelId: number
  readonly target: SpiceTarget
  readonly format: HeaderFormat
  /** Whether messages that the policy does not list end the channel, or are only logged. */
  readonly policy: 'enforce' | 'watch'
  /** Returns the bytes to send to the client for a piece, or `undefined` to hold it back. Default: the whole piece. */
  readonly filter?: ((piece: Piece) => Buffer | undefined) | undefined
  /** Whether a client's message of a type is dropped. Default: none is. */
  readonly withholds?: ((type: number) => boolean) | undefined
  readonly count: { toClient(bytes: number): void; toConsole(bytes: number): void }
  /** How long the hypervisor may take to accept all buffered input, once that exceeds the socket's high-water mark. */
  readonly stalledAfterMs: number
  /** How long the client may take to close after the hypervisor has closed. */
  readonly closeTimeoutMs: number
}

/** The first message type of the inputs channel for keys and pointer moves. */
const FIRST_INPUT_TYPE = 101

export class ChannelRelay implements Channel {
  readonly name: ChannelName
  readonly channelId: number
  readonly target: SpiceTarget
  blockedSinceMs: number | undefined
  readonly #client: RelayLeg
  readonly #hypervisor: RelayLeg
  readonly #options: ChannelRelayOptions
  readonly #log: Logger
  readonly #loggedTypes = new Set<number>()

  constructor(client: RelayLeg, hypervisor: RelayLeg, options: ChannelRelayOptions) {
    this.#client = client
    this.#hypervisor = hypervisor
    this.#options = options
    this.name = options.name
    this.channelId = options.channelId
    this.target = options.target
    this.#log = options.session.log.child({ channel: `${options.name}:${options.channelId}` })
  }

  get bufferedBytes(): number {
    return this.#hypervisor.socket.readableLength + this.#client.socket.writableLength
  }

  /** Relays until one side ends. Never rejects; resolves to the reason, with both legs closed or closing. */
  async run(): Promise<Ending> {
    const ending = await Promise.race([settled(this.#toClient()), settled(this.#toConsole())])
    if (ending.reason === 'console_closed') this.#closeClient()
    else this.#client.socket.destroy()
    this.#hypervisor.socket.destroy()
    this.#log.debug({ reason: ending.reason, detail: ending.detail }, 'channel closed')
    return ending
  }

  destroy(): void {
    this.#client.socket.destroy()
    this.#hypervisor.socket.destroy()
  }

  async #toClient(): Promise<Ending> {
    const { session, format, filter, count } = this.#options
    const framer = new Framer(format)
    for (;;) {
      const chunk = await orEnding(this.#hypervisor.reader.readSome(), 'console_lost')
      if (chunk === undefined) return { reason: 'console_closed' }
      for (const piece of framer.push(chunk)) {
        if (piece.first && piece.message.type === serverMessages.migrate) session.noteMigration()
        const bytes = filter ? filter(piece) : piece.bytes
        if (bytes === undefined) continue
        await this.#writeToClient(bytes)
        session.bytesToClient += bytes.length
        count.toClient(bytes.length)
      }
    }
  }

  /** Waits for each write to be flushed: a write behind a pending one would share its TLS record. */
  async #writeToClient(bytes: Buffer): Promise<void> {
    this.blockedSinceMs = performance.now()
    await orEnding(written(this.#client.socket, bytes), 'client_lost')
    this.blockedSinceMs = undefined
  }

  async #toConsole(): Promise<Ending> {
    const { session, format, count, withholds } = this.#options
    const { socket } = this.#hypervisor
    const framer = new Framer(format)
    for (;;) {
      const chunk = await orEnding(this.#client.reader.readSome(), 'client_lost')
      if (chunk === undefined) return { reason: 'client_closed' }
      socket.cork()
      let keepsUp = true
      for (const piece of framer.push(chunk)) {
        if (piece.first) this.#check(piece)
        if (withholds?.(piece.message.type)) continue
        keepsUp = socket.write(piece.bytes)
        session.bytesToConsole += piece.bytes.length
        count.toConsole(piece.bytes.length)
      }
      socket.uncork()
      if (!keepsUp) await this.#drained()
    }
  }

  /**
   * Waits until the socket's write buffer is empty, or the hypervisor has closed. Meanwhile the client is not read
   * (backpressure).
   * @throws ChannelFault after `stalledAfterMs`
   */
  async #drained(): Promise<void> {
    const { socket } = this.#hypervisor
    if (socket.destroyed) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const stalled = () => reject(new ChannelFault({ reason: 'console_lost', detail: 'the hypervisor reads no input' }))
    const timer = setTimeout(stalled, this.#options.stalledAfterMs)
    socket.once('drain', resolve).once('close', resolve)
    try {
      await promise
    } finally {
      clearTimeout(timer)
      socket.off('drain', resolve).off('close', resolve)
    }
  }

  #check({ message }: Piece): void {
    const { session, name, policy } = this.#options
    if (name === 'inputs' && message.type >= FIRST_INPUT_TYPE) session.lastInputMs = performance.now()
    const why = objection(name, message, session.migrating)
    if (why === undefined) return
    const { type, size } = message
    if (!this.#loggedTypes.has(type)) this.#log.warn({ type, size, why, policy }, 'message violates the policy')
    this.#loggedTypes.add(type)
    if (policy === 'enforce')
      throw new ChannelFault({ reason: 'protocol_error', detail: `${name} message ${type}: ${why}` })
  }

  /** Ends the client's socket after the last bytes from the hypervisor, and destroys it if the client does not close in time. */
  #closeClient(): void {
    const { socket } = this.#client
    const timer = setTimeout(() => socket.destroy(), this.#options.closeTimeoutMs)
    socket.once('close', () => clearTimeout(timer))
    // The other direction keeps reading the client: closing a socket with unread data would send a reset.
    socket.end()
  }
}

function written(socket: Socket, bytes: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.write(bytes, (cause) => (cause ? reject(cause) : resolve()))
  return promise
}

/** Awaits `work`, and treats its failure as a lost connection. */
async function orEnding<T>(work: Promise<T>, reason: 'client_lost' | 'console_lost'): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw new ChannelFault({ reason, detail: (cause as Error).message, cause })
  }
}

async function settled(work: Promise<Ending>): Promise<Ending> {
  try {
    return await work
  } catch (cause) {
    if (cause instanceof ChannelFault) return cause.ending
    return { reason: 'proxy_error', detail: (cause as Error).message, cause }
  }
}
