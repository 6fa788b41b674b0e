/** One open native SPICE session: its channels, its target, its byte counts, and its ending. */
import { randomUUID } from 'node:crypto'
import type { EndReason } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { Ending } from '../../session/ending.ts'
import type { SessionFacts, SessionView } from '../../session/open-session.ts'
import type { ChannelName } from '../wire/protocol.ts'
import type { Grant } from './grant.ts'
import { type SpiceTarget, sameTarget, targetText } from './target.ts'

/** One open channel, with both legs. */
export interface Channel {
  readonly name: ChannelName
  readonly channelId: number
  readonly target: SpiceTarget
  /** The start of the pending write to the client, on the monotonic clock, or `undefined` without one. */
  readonly blockedSinceMs: number | undefined
  /** The bytes in this process that wait for the client to read. */
  readonly bufferedBytes: number
  /** Drops both legs at once. */
  destroy(): void
}

/** Identifies a channel of a target. Each may be open only once. */
export interface ChannelSlot {
  readonly name: ChannelName
  readonly channelId: number
  readonly target: SpiceTarget
  /** Whether it is the second main channel, to the target of a migration. */
  readonly migrating: boolean
}

/** The ticket that opened a session. It may open further sessions, one at a time. */
export interface SessionTicket {
  readonly grant: Grant
  /** The console's current address; a live migration changes it. */
  target: SpiceTarget
  /** The session that the ticket has open. */
  session: SpiceSession | undefined
  /** Allows the ticket to open a session until `ms` from now. */
  extend(ms: number): void
  /** Records why the session ended. The ticket may open another one within `graceMs`; 0 invalidates it. */
  sessionEnded(reason: EndReason, graceMs: number): void
}

export interface SpiceSessionSettings {
  /** How long a ticket stays valid after the client lost its session. */
  readonly graceMs: number
  readonly maxChannels: number
}

/** How long migration messages are allowed after the last one from the hypervisor. */
const MIGRATION_WINDOW_MS = 60_000

export class SpiceSession {
  readonly id: string
  readonly startedAt = new Date()
  readonly facts: SessionFacts
  readonly ticket: SessionTicket
  /** The session id from MAIN_INIT, which the client sends to open further channels. */
  connectionId: number | undefined
  /** Whether the guest's UUID matches the instance, or need not be checked. */
  identified: boolean
  bytesToClient = 0
  bytesToConsole = 0
  /** When the client last sent a key or pointer event, on the monotonic clock. */
  lastInputMs = performance.now()
  /** The target of the running migration. */
  pending: SpiceTarget | undefined
  readonly log: Logger
  readonly #settings: SpiceSessionSettings
  readonly #channels = new Set<Channel>()
  /** The slots of channels that are open or opening. */
  readonly #slots = new Set<ChannelSlot>()
  readonly #openedMs = performance.now()
  readonly #ending = new AbortController()
  readonly #ended = Promise.withResolvers<Ending>()
  #sessionSlot: Disposable | undefined
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

  /** The bytes in this process that wait for the client to read. */
  get bufferedBytes(): number {
    return [...this.#channels].reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0)
  }

  get channels(): ReadonlySet<Channel> {
    return this.#channels
  }

  /** Whether to allow messages that are legal only during a live migration. */
  get migrating(): boolean {
    return performance.now() < this.#migratingUntilMs
  }

  /** The target for the next channel that the client opens. */
  get targetOfNextChannel(): SpiceTarget {
    return this.#migrated && this.pending ? this.pending : this.ticket.target
  }

  /** Whether a migration has a target to which no second main channel has been opened yet. */
  get awaitsMigration(): boolean {
    const { pending } = this
    if (pending === undefined || this.#migrated !== undefined) return false
    return ![...this.#slots].some(({ migrating, target }) => migrating && sameTarget(target, pending))
  }

  /** Holds the session's slot until the session ends, and then releases it at once, so that a takeover can use it. */
  hold(sessionSlot: Disposable): void {
    if (this.signal.aborted) sessionSlot[Symbol.dispose]()
    else this.#sessionSlot = sessionSlot
  }

  /** Logs that the session is open, with its first channel. */
  open(main: Channel): void {
    this.#main = main
    this.#opened = true
    this.log.info({ target: targetText(main.target) }, 'session opened')
    this.ticket.grant.record?.opened(this)
  }

  /** Returns the reason why this channel may not open, or `undefined` if it may. */
  objectionTo({ name, channelId, target }: ChannelSlot): string | undefined {
    if (this.#slots.size >= this.#settings.maxChannels) return `${this.#slots.size} channels are open`
    const same = (slot: ChannelSlot) =>
      slot.name === name && slot.channelId === channelId && sameTarget(slot.target, target)
    return [...this.#slots].some(same) ? `channel ${name}:${channelId} is open already` : undefined
  }

  /** Reserves a channel's slot. The caller holds it from before the dial until the channel is closed. */
  reserve(slot: ChannelSlot): Disposable {
    this.#slots.add(slot)
    return { [Symbol.dispose]: () => void this.#slots.delete(slot) }
  }

  /** Adds an open channel. */
  add(channel: Channel): void {
    this.#channels.add(channel)
    this.#channelsSoFar += 1
  }

  /** Removes a closed channel. Ends the session if that was its current main channel. */
  remove(channel: Channel, ending: Ending): void {
    this.#channels.delete(channel)
    if (channel === this.#migrated) this.#migrated = undefined
    if (channel === this.#main) this.end(ending)
  }

  /** Adds the main channel to a migration's target. Ignores it if the target has changed since it was dialled. */
  addMigrated(main: Channel): void {
    if (this.pending && sameTarget(this.pending, main.target)) this.#migrated = main
  }

  /** Allows migration messages for a while. Called for each one from the hypervisor. */
  noteMigration(): void {
    this.#migratingUntilMs = performance.now() + MIGRATION_WINDOW_MS
  }

  /** Records the target of a migration that begins. */
  beginMigration(target: SpiceTarget): void {
    this.pending = target
    this.#migrated = undefined
    this.log.info({ target: targetText(target) }, 'live migration started')
  }

  /** Discards the target of a migration that the hypervisor cancelled. */
  cancelMigration(): void {
    if (this.pending) this.log.info({ target: targetText(this.pending) }, 'live migration cancelled')
    this.pending = undefined
  }

  /** Moves the session to the migration's target. */
  commitMigration(how: 'seamless' | 'semi-seamless'): void {
    if (!this.pending) return
    this.#moveTo(this.pending, how)
    if (this.#migrated) this.#main = this.#migrated
    this.#migrated = undefined
    this.pending = undefined
  }

  /** Points the ticket at the migration's target, where the client opens a new session. */
  switchHost(target: SpiceTarget): void {
    this.#moveTo(target, 'switch-host')
    this.ticket.extend(MIGRATION_WINDOW_MS)
    this.pending = undefined
  }

  /**
   * Ends the session and drops its channels. Later calls have no effect. A machine that moved ends no session: the viewer
   * follows a live migration by itself.
   */
  end(ending: Ending): void {
    if (this.#ending.signal.aborted || ending.reason === 'moved') return
    this.#ending.abort(new Error(`the session ended: ${ending.reason}`))
    if (this.ticket.session === this) this.ticket.session = undefined
    this.#sessionSlot?.[Symbol.dispose]()
    this.#limitTicket(ending)
    if (this.#opened) this.#logEnd(ending)
    this.#ended.resolve(ending)
    // `destroy` removes the channel from the set, so iterate over a copy.
    for (const channel of [...this.#channels]) channel.destroy()
  }

  /** Implements `terminate` of the session list. A native session ends at once, without a closing handshake. */
  terminate(): void {
    this.end({ reason: 'ended' })
  }

  #moveTo(target: SpiceTarget, how: string): void {
    const from = targetText(this.ticket.target)
    this.log.info({ how, from, target: targetText(target) }, 'live migration moved the session')
    this.ticket.target = target
  }

  /**
   * Limits the ticket's further use. A client that lost its connection may reconnect with the same ticket for a while; one
   * that the proxy disconnected may not.
   */
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
