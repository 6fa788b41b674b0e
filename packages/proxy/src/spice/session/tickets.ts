/**
 * Tickets, which a `.vv` file contains in place of the console auth token. One ticket admits all channels of its session.
 * It expires soon unless it is used; afterwards it stays valid for as long as its session and a grace period, so that a
 * viewer can reconnect. Only digests are stored.
 */
import { randomBytes } from 'node:crypto'
import type { EndReason } from '@oriel/contract'
import { Secret, sha256Hex } from '@oriel/runtime'
import { Refused } from '../../refused.ts'
import type { Grant } from './grant.ts'
import type { SessionTicket, SpiceSession } from './session.ts'
import type { SpiceTarget } from './target.ts'

export class Ticket implements SessionTicket {
  readonly grant: Grant
  /** The console's current address; a live migration changes it. */
  target: SpiceTarget
  /** The session that this ticket has open. */
  session: SpiceSession | undefined
  #validUntilMs: number
  #lastEnd: { readonly reason: EndReason; readonly at?: Date } = { reason: 'client_lost' }

  constructor(grant: Grant, validUntilMs: number) {
    this.grant = grant
    this.target = grant.target
    this.#validUntilMs = validUntilMs
  }

  /** Whether the ticket may open a session, for the first time or again. */
  get mayOpen(): boolean {
    return this.session !== undefined || performance.now() < this.#validUntilMs
  }

  /** Allows the ticket to open a session until `ms` from now. */
  extend(ms: number): void {
    this.#validUntilMs = performance.now() + ms
  }

  /** Records why the session ended. The ticket may open another one within `graceMs`; 0 invalidates it. */
  sessionEnded(reason: EndReason, graceMs: number): void {
    this.#lastEnd = { reason, at: new Date() }
    this.extend(graceMs)
    if (graceMs === 0) this.settle()
  }

  /** Reports the end of the last session to the authority once the ticket has expired. */
  settle(): void {
    this.grant.record?.ended(this.#lastEnd.reason, this.#lastEnd.at)
  }
}

export interface TicketOptions {
  /** How long a ticket is valid before its first use. */
  readonly firstUseMs: number
  /** The maximum number of tickets, used or unused. */
  readonly max: number
  /** The same for the tickets of one console auth token. */
  readonly maxPerToken: number
}

/** 192 bits, encoded as 32 characters. Clients accept up to 60. */
const TICKET_BYTES = 24
const SWEEP_EVERY_MS = 10_000

export class Tickets implements Disposable {
  readonly #byDigest = new Map<string, Ticket>()
  /** The number of tickets of each token, by its digest. */
  readonly #byToken = new Map<string, number>()
  readonly #options: TicketOptions
  readonly #timer: NodeJS.Timeout

  constructor(options: TicketOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#sweep(), SWEEP_EVERY_MS).unref()
  }

  get size(): number {
    return this.#byDigest.size
  }

  /** Creates a ticket. @throws Refused `too_many` */
  mint(grant: Grant): Secret {
    const { firstUseMs, max, maxPerToken } = this.#options
    const full = () => this.#byDigest.size >= max || this.#ofToken(grant.tokenDigest) >= maxPerToken
    if (full()) this.#sweep()
    if (this.#byDigest.size >= max) throw new Refused('too_many', `${max} SPICE tickets are valid already`)
    if (full()) throw new Refused('too_many', `the token has ${maxPerToken} SPICE tickets already`)
    this.#byToken.set(grant.tokenDigest, this.#ofToken(grant.tokenDigest) + 1)
    const text = randomBytes(TICKET_BYTES).toString('base64url')
    this.#byDigest.set(sha256Hex(text), new Ticket(grant, performance.now() + firstUseMs))
    return new Secret(text)
  }

  /** Finds the ticket with this text. Hashes a missing text too, so that the time does not reveal a malformed ticket. */
  find(text: string | undefined): Ticket | undefined {
    return this.#byDigest.get(sha256Hex(text ?? ''))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    for (const ticket of this.#byDigest.values()) ticket.settle()
    this.#byDigest.clear()
  }

  #sweep(): void {
    for (const [digest, ticket] of this.#byDigest) {
      if (ticket.mayOpen) continue
      this.#byDigest.delete(digest)
      this.#forget(ticket.grant.tokenDigest)
      ticket.settle()
    }
  }

  #ofToken(tokenDigest: string): number {
    return this.#byToken.get(tokenDigest) ?? 0
  }

  #forget(tokenDigest: string): void {
    const remaining = this.#ofToken(tokenDigest) - 1
    if (remaining > 0) this.#byToken.set(tokenDigest, remaining)
    else this.#byToken.delete(tokenDigest)
  }
}
