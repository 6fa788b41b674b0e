/**
 * Resume tickets: with one, a page opens its console again without the token. A proxy seals what it must know then, so that
 * any proxy with the same key admits the page, and none has to remember tickets.
 */
import { randomBytes } from 'node:crypto'
import type { Secret } from '@oriel/runtime'
import { decodeTicket, encodeTicket, type ResumeGrant, type ResumeTicket } from './grant.ts'
import type { Seal } from './seal.ts'

export interface TicketOptions {
  readonly seal: Seal
  /** How long a ticket is valid, in milliseconds. Pages renew it while their console is open. 0: there are no tickets. */
  readonly resumeMs: number
  /** How long after its first opening a console may be resumed, in milliseconds. 0: without limit. */
  readonly maxSessionMs: number
  /** The present, milliseconds since the epoch. */
  readonly now?: () => number
}

/** A ticket for a page. */
export interface IssuedTicket {
  readonly ticket: Secret
  readonly handle: string
  readonly expiresAt: Date
}

const TICKET = 'ticket'
/** A grant that the proxy itself keeps while the session is open. It opens no console. */
const GRANT = 'grant'

export class Tickets {
  readonly #options: Required<TicketOptions>

  constructor(options: TicketOptions) {
    this.#options = { now: Date.now, ...options }
  }

  get enabled(): boolean {
    return this.#options.resumeMs > 0
  }

  /** Seals a grant, so that other workers can keep it and issue tickets from it, and no memory has its token. */
  sealGrant(grant: ResumeGrant): string {
    return this.#options.seal.seal(GRANT, encodeTicket({ ...grant, notAfter: 0 })).reveal()
  }

  /** Issues a ticket from a sealed grant, or returns `undefined` if it does not open or the console's time is over. */
  issue(sealedGrant: string): IssuedTicket | undefined {
    const text = this.#options.seal.open(GRANT, sealedGrant)
    if (text === undefined) return undefined
    const grant = decodeTicket(text)
    const notAfter = this.#notAfter(grant)
    if (notAfter <= this.#options.now()) return undefined
    const ticket = this.#options.seal.seal(TICKET, encodeTicket({ ...grant, notAfter }))
    return { ticket, handle: grant.handle, expiresAt: new Date(notAfter) }
  }

  /** Returns the grant of a ticket, or `undefined` if it is malformed, foreign or expired. */
  open(ticket: Secret): ResumeTicket | undefined {
    if (!this.enabled) return undefined
    const text = this.#options.seal.open(TICKET, ticket.reveal())
    const opened = text === undefined ? undefined : decodeTicket(text)
    return opened && opened.notAfter > this.#options.now() ? opened : undefined
  }

  #notAfter({ openedAt, expiresAt = Number.POSITIVE_INFINITY }: ResumeGrant): number {
    const { now, resumeMs, maxSessionMs } = this.#options
    const longest = maxSessionMs > 0 ? openedAt + maxSessionMs : Number.POSITIVE_INFINITY
    return Math.min(now() + resumeMs, longest, expiresAt)
  }
}

/** Makes a handle, by which a browser distinguishes the cookies of its consoles. */
export const newHandle = (): string => randomBytes(16).toString('base64url')
