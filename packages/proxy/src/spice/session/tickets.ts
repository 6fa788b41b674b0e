/**
 * Tickets: what a `.vv` file carries in place of the console auth token. One ticket admits all channels of its session.
 * It must be used within a short time; from then on it lives as long as its session, and a grace time longer, so that a
 * viewer which lost its connection can come back. Only digests are kept.
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
  /** Where the machine is now: a migration moves it. */
  target: SpiceTarget
  /** The session that this ticket opened, while it is open. */
  session: SpiceSession | undefined
  #validUntilMs: number
  #lastEnd: { readonly reason: EndReason; readonly at?: Date } = { reason: 'client_lost' }

  constructor(grant: Grant, validUntilMs: number) {
    this.grant = grant
    this.target = grant.target
    this.#validUntilMs = validUntilMs
  }

  /** Whether it may open a session: for the first time, or again. */
  get mayOpen(): boolean {
    return this.session !== undefined || performance.now() < this.#validUntilMs
  }

  /** Lets it open a session for `ms` more. */
  extend(ms: number): void {
    this.#validUntilMs = performance.now() + ms
  }

  /** Its session ended. @param graceMs within which it may open another one; 0: never again */
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
  /** From the minting to the first use. */
  readonly firstUseMs: number
  /** Unused ones and those in use, together. */
  readonly max: number
  /** Likewise, of one console auth token. */
  readonly maxPerToken: number
}

/** 192 bits as 32 characters, of the 60 that clients take. */
const TICKET_BYTES = 24
const SWEEP_EVERY_MS = 10_000

export class Tickets implements Disposable {
  readonly #byDigest = new Map<string, Ticket>()
  /** How many of them each token has. */
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

  /** @throws Refused `too_many` */
  mint(grant: Grant): Secret {
    const { firstUseMs, max, maxPerToken } = this.#options
    const full = () => this.#byDigest.size >= max || this.#ofToken(grant.tokenDigest) >= maxPerToken
    if (full()) this.#sweep()
    if (this.#byDigest.size >= max) throw new Refused('too_many', `${max} SPICE tickets wait for their viewers`)
    if (full()) throw new Refused('too_many', `one token has ${maxPerToken} SPICE tickets`)
    this.#byToken.set(grant.tokenDigest, this.#ofToken(grant.tokenDigest) + 1)
    const text = randomBytes(TICKET_BYTES).toString('base64url')
    this.#byDigest.set(sha256Hex(text), new Ticket(grant, performance.now() + firstUseMs))
    return new Secret(text)
  }

  /** Finds the ticket with this text. Takes the same time for missing text. */
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
    const left = this.#ofToken(tokenDigest) - 1
    if (left > 0) this.#byToken.set(tokenDigest, left)
    else this.#byToken.delete(tokenDigest)
  }
}
