/** What a resume ticket grants: the console of an earlier session, without its token. */
import type { ConsoleRole, OpenableConsoleType } from '@oriel/contract'
import { Secret } from '@oriel/runtime'

/** A session that may be resumed. Times are milliseconds since the epoch. */
export interface ResumeGrant {
  /** The latest session that the grant was issued for. */
  readonly sessionId: string
  readonly instance: string
  readonly type: OpenableConsoleType
  readonly role: ConsoleRole
  readonly label?: string
  /** The digest of the token that opened the first session: resumed sessions count towards its limits. */
  readonly tokenDigest: string
  /** The token, for an authority that has to look it up again. */
  readonly token?: Secret
  /** Distinguishes the consoles of one browser. Not secret: it is part of the page's address. */
  readonly handle: string
  /** When the first session opened. */
  readonly openedAt: number
  /** When the token expires, if that ends sessions. */
  readonly expiresAt?: number
}

/** A grant with the end of its validity. */
export interface ResumeTicket extends ResumeGrant {
  readonly notAfter: number
}

type Wire = readonly [
  sessionId: string,
  instance: string,
  type: string,
  role: string,
  label: string | null,
  tokenDigest: string,
  token: string | null,
  handle: string,
  openedAt: number,
  expiresAt: number | null,
  notAfter: number,
]

/** Encodes a ticket without the names of its members, because browsers send it in a cookie with every request. */
export function encodeTicket(ticket: ResumeTicket): string {
  const { sessionId, instance, type, role, label, tokenDigest, token, handle, openedAt, expiresAt, notAfter } = ticket
  const wire: Wire = [
    ...([sessionId, instance, type, role, label ?? null, tokenDigest, token?.reveal() ?? null] as const),
    ...([handle, openedAt, expiresAt ?? null, notAfter] as const),
  ]
  return JSON.stringify(wire)
}

/** Decodes what {@link encodeTicket} returned. The text is authentic: only a proxy with a key can have sealed it. */
export function decodeTicket(text: string): ResumeTicket {
  const wire = JSON.parse(text) as Wire
  const [sessionId, instance, type, role, label, tokenDigest, token, handle, openedAt, expiresAt, notAfter] = wire
  return {
    ...{ sessionId, instance, type: type as OpenableConsoleType, role: role as ConsoleRole },
    ...(label === null ? {} : { label }),
    tokenDigest,
    ...(token === null ? {} : { token: new Secret(token) }),
    ...{ handle, openedAt },
    ...(expiresAt === null ? {} : { expiresAt }),
    notAfter,
  }
}
