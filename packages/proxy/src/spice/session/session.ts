/** One open native SPICE session: its channels, where its machine is, how much it relayed, and why it ends. */
import { randomUUID } from 'node:crypto'
import type { EndReason } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { Ending } from '../../session/ending.ts'
import type { SessionFacts, SessionView } from '../../session/open-session.ts'
import type { ChannelName } from '../wire/protocol.ts'
import type { Grant } from './grant.ts'
import { type SpiceTarget, sameTarget, targetText } from './target.ts'

/** One open channel: both of its legs. */
export interface Channel {
  readonly name: ChannelName
  readonly channelId: number
  readonly target: SpiceTarget
  /** Since when a write to the client waits, on the monotonic clock; `undefined` while none does. */
  readonly blockedSinceMs: number | undefined
  /** The bytes in this process that wait for the client to read. */
  readonly bufferedBytes: number
  /** Drops both legs at once. */
  destroy(): void
}

/** Which channel of which machine; one of each may be open. */
export interface ChannelSlot {
  readonly name: ChannelName
  readonly channelId: number
  readonly target: SpiceTarget
  /** Whether it is the second main channel, to the target of a migration. */
  readonly migrating: boolean
}

/** The ticket that opened a session, and may open it again. */
export interface SessionTicket {
  readonly grant: Grant
  /** Where the machine is now. */
  target: SpiceTarget
  /** The session, while it is open. */
  session: SpiceSession | undefined
  /** Extends the time within which it may open a session to `ms` from now. */
  extend(ms: number): void
  /** Records why its session ended. `graceMs`: within which it may open another one; 0: never again. */
  sessionEnded(reason: EndReason, graceMs: number): void
}

export interface SpiceSessionSettings {
  /** Within which the same ticket opens the session again. */
  readonly graceMs: number
  readonly maxChannels: number
}

/** How long messages that belong to a migration may follow its last sign. */
const MIGRATION_WINDOW_MS = 60_000

export class SpiceSession {
  readonly id: string
  readonly startedAt = new Date()
  readonly facts: SessionFacts
  readonly ticket: SessionTicket
  /** The hypervisor's id of the session, as it told the client. */
  connectionId: number | undefined
  /** Whether the machine's UUID was found right, or does not matter. */
  identified: boolean
  bytesToClient = 0
  bytesToConsole = 0
  /** When the client last pressed or moved something, on the monotonic clock. */
  lastInputMs = performance.now()
  /** The target of a migration that is under way. */
  pending: SpiceTarget | undefined
  readonly log: Logger
  readonly #settings: SpiceSessionSettings
  readonly #channels = new Set<Channel>()
  /** Channels that are open or on their way. */
  readonly #slots = new Set<ChannelSlot>()
  readonly #openedMs = performance.now()
  readonly #ending = new AbortController()
  readonly #ended = Promise.withResolvers<Ending>()
  #place: Disposable | undefined
  #main: Channel | undefined
  #migrated: Channel | undefined
  #migratingUntilMs = 0
  #opened = false
  #channelsSoFar = 0

  constructor(
    facts: SessionFacts,
    ticket: SessionTicket,
    identified: boolean,
    log: Logger,
    settings: SpiceSessionSettings,
  ) {
    this.id = ticket.grant.record?.id ?? randomUUID()
    this.facts = facts
    this.ticket = ticket
    this.identified = identified
    this.#settings = settings
    const { tokenDigest, ...rest } = facts
    this.log = log.child({ session: this.id, ...rest, digest: tokenDigest.slice(0, 12) })
  }

  /** Aborts when the session ends. */
  get signal(): AbortSignal {
    return this.#ending.signal
  }

  get ended(): Promise<Ending> {
    return this.#ended.promise
  }

  get view(): SessionView {
    const { id, startedAt, facts, bytesToClient, bytesToConsole } = this
    return { id, startedAt, ...facts, bytesToClient, bytesToConsole }
  }

  /** The memory that its bytes to the client occupy. */
  get bufferedBytes(): number {
    return [...this.#channels].reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0)
  }

  get channels(): ReadonlySet<Channel> {
    return this.#channels
  }

  /** Whether messages may pass that are legal only while the machine migrates. */
  get migrating(): boolean {
    return performance.now() < this.#migratingUntilMs
  }

  /** Where a channel that is asked for now leads. */
  get targetOfNextChannel(): SpiceTarget {
    return this.#migrated && this.pending ? this.pending : this.ticket.target
  }

  /** Whether the target of a migration may be connected to, once. */
  get awaitsMigration(): boolean {
    const { pending } = this
    if (pending === undefined || this.#migrated !== undefined) return false
    return ![...this.#slots].some(({ migrating, target }) => migrating && sameTarget(target, pending))
  }

  /** Holds the session's slot until the session ends, and then releases it at once, so that a takeover can use it. */
  hold(place: Disposable): void {
    if (this.signal.aborted) place[Symbol.dispose]()
    else this.#place = place
  }

  /** Logs that the session is open, with its first channel. */
  open(main: Channel): void {
    this.#main = main
    this.#opened = true
    this.log.info({ target: targetText(main.target) }, 'session opened')
    this.ticket.grant.record?.opened(this)
  }

  /** Why one more channel may not open, or `undefined`. */
  objectionTo({ name, channelId, target }: ChannelSlot): string | undefined {
    if (this.#slots.size >= this.#settings.maxChannels) return `${this.#slots.size} channels are open`
    const same = (slot: ChannelSlot) =>
      slot.name === name && slot.channelId === channelId && sameTarget(slot.target, target)
    return [...this.#slots].some(same) ? `channel ${name}:${channelId} is open already` : undefined
  }

  /** Takes a channel's place, from before its hypervisor is dialled until it is closed. */
  reserve(slot: ChannelSlot): Disposable {
    this.#slots.add(slot)
    return { [Symbol.dispose]: () => void this.#slots.delete(slot) }
  }

  /** Counts a channel until it is closed. */
  add(channel: Channel): void {
    this.#channels.add(channel)
    this.#channelsSoFar += 1
  }

  /** A channel is closed. The session ends with its main channel, unless a migration has replaced that. */
  remove(channel: Channel, ending: Ending): void {
    this.#channels.delete(channel)
    if (channel === this.#migrated) this.#migrated = undefined
    if (channel === this.#main) this.end(ending)
  }

  /** The main channel to the migration's target is open. It is of no use if the machine goes elsewhere by now. */
  addMigrated(main: Channel): void {
    if (this.pending && sameTarget(this.pending, main.target)) this.#migrated = main
  }

  /** The hypervisor said something that belongs to a migration. */
  noteMigration(): void {
    this.#migratingUntilMs = performance.now() + MIGRATION_WINDOW_MS
  }

  /** The machine begins to move. */
  beginMigration(target: SpiceTarget): void {
    this.pending = target
    this.#migrated = undefined
    this.log.info({ target: targetText(target) }, 'live migration began')
  }

  /** It stays where it was. */
  cancelMigration(): void {
    if (this.pending) this.log.info({ target: targetText(this.pending) }, 'live migration was called off')
    this.pending = undefined
  }

  /** The machine is at its target now, and so is the session. */
  commitMigration(how: 'seamless' | 'semi-seamless'): void {
    if (!this.pending) return
    this.#moveTo(this.pending, how)
    if (this.#migrated) this.#main = this.#migrated
    this.#migrated = undefined
    this.pending = undefined
  }

  /** The client is sent to the target, to begin a new session there. */
  switchHost(target: SpiceTarget): void {
    this.#moveTo(target, 'switch-host')
    this.ticket.extend(MIGRATION_WINDOW_MS)
    this.pending = undefined
  }

  /** Ends the session: every channel is dropped. The first reason counts. */
  end(ending: Ending): void {
    if (this.#ending.signal.aborted) return
    this.#ending.abort(new Error(`the session ended: ${ending.reason}`))
    if (this.ticket.session === this) this.ticket.session = undefined
    this.#place?.[Symbol.dispose]()
    this.#limitTicket(ending)
    if (this.#opened) this.#logEnd(ending)
    this.#ended.resolve(ending)
    // Destroying one removes it.
    for (const channel of [...this.#channels]) channel.destroy()
  }

  /** Implements `terminate` of the session list. A native session ends at once, without a closing handshake. */
  terminate(): void {
    this.end({ reason: 'ended' })
  }

  #moveTo(target: SpiceTarget, how: string): void {
    const places = { from: targetText(this.ticket.target), target: targetText(target) }
    this.log.info({ how, ...places }, 'live migration moved the session')
    this.ticket.target = target
  }

  /** A client that lost its connection may reconnect with the same ticket for a while; one that the proxy disconnected may not. */
  #limitTicket({ reason }: Ending): void {
    if (!this.#opened) return
    const mayReturn = reason === 'client_closed' || reason === 'client_lost' || reason.startsWith('console_')
    const graceMs = Math.max(this.#settings.graceMs, this.migrating ? MIGRATION_WINDOW_MS : 0)
    this.ticket.sessionEnded(reason, mayReturn ? graceMs : 0)
  }

  #logEnd({ reason, detail, cause }: Ending): void {
    const { bytesToClient, bytesToConsole } = this
    const durationMs = Math.round(performance.now() - this.#openedMs)
    const facts = {
      reason,
      detail,
      err: cause,
      durationMs,
      bytesToClient,
      bytesToConsole,
      channels: this.#channelsSoFar,
    }
    this.log.info(facts, 'session ended')
  }
}
