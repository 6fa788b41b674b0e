/** What a client shows to open a console: a token, or a ticket to resume an earlier session. */
import { isTicket, RESUME_PARAMETER, resumeCookie, TICKET_SUBPROTOCOL_PREFIX } from '@oriel/contract'
import { Secret } from '@oriel/runtime'
import { Refused } from '../refused.ts'
import { queryOf, requireToken } from './token.ts'

export type Credential = { readonly token: Secret } | { readonly ticket: Secret }

/** The parts of a request that may have a credential. */
export interface CredentialRequest {
  /** The request target, such as `/?token=…`. */
  readonly target: string | undefined
  readonly cookie: string | undefined
  /** The offered subprotocols. */
  readonly subprotocols: readonly string[]
}

/**
 * Returns the credential of a request: the ticket among its subprotocols, else the ticket in the cookie whose handle its query
 * names, else its token.
 * @throws Refused `bad_request`, `missing_token`, `unknown_token`
 */
export function requireCredential({ target = '', cookie, subprotocols }: CredentialRequest): Credential {
  const offered = offeredTicket(subprotocols)
  if (offered !== undefined) return { ticket: new Secret(offered) }
  const handle = queryOf(target).get(RESUME_PARAMETER)
  if (handle === null || handle === '') return { token: requireToken(target, cookie) }
  const kept = cookieOf(cookie ?? '', resumeCookie(handle))
  if (kept === undefined) throw new Refused('unknown_token', 'the browser has no ticket for this address')
  return { ticket: new Secret(kept) }
}

/** @throws Refused `bad_request` for several */
function offeredTicket(subprotocols: readonly string[]): string | undefined {
  const offered = subprotocols.filter((name) => name.startsWith(TICKET_SUBPROTOCOL_PREFIX))
  if (offered.length > 1) throw new Refused('bad_request', `${offered.length} tickets are offered`)
  return offered[0]?.slice(TICKET_SUBPROTOCOL_PREFIX.length)
}

/** Returns the value of the cookie `name` if it may be a ticket. */
function cookieOf(header: string, name: string): string | undefined {
  const pairs = header.split(';').map((pair) => pair.trim())
  const value = pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1)
  return value !== undefined && isTicket(value) ? value : undefined
}
