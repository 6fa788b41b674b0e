/**
 * Resume tickets, with which a page opens its console again without the token. A page offers its ticket as a WebSocket
 * subprotocol, because logs record URLs, or the browser sends it in a cookie, whose handle the page's address names.
 */

/** The name of the resource beside the console's address from which a page gets its tickets, by POST. */
export const RESUME_NAME = 'oriel.resume'

/** What a page sends as JSON to get a ticket for the session that it has open. */
export interface ResumeRequest {
  /** The page's key for the session. */
  readonly key: string
  /** Whether to keep the ticket in a cookie, if the page has the proxy's own host and TLS. */
  readonly cookie?: boolean
}

/** What the page gets. */
export interface ResumeAnswer {
  /** Names the ticket's cookie in {@link RESUME_PARAMETER}. Not secret. */
  readonly handle: string
  /** ISO 8601, UTC. */
  readonly expires_at: string
  /** The same, for a page whose clock is wrong. The page renews the ticket while its console is open. */
  readonly expires_in_seconds: number
  /** Absent: the ticket is in the cookie. */
  readonly ticket?: string
}

/** The prefix of the subprotocol; the ticket follows it. The proxy never selects that subprotocol. */
export const TICKET_SUBPROTOCOL_PREFIX = 'oriel.ticket.'

/** Returns the subprotocol to offer for `ticket`. */
export const ticketSubprotocol = (ticket: string): string => TICKET_SUBPROTOCOL_PREFIX + ticket

/** Whether `text` may be a ticket: base64url without padding. */
export const isTicket = (text: string): boolean => /^[\w-]{1,4096}$/.test(text)

/** The query parameter with the handle of the cookie that has the ticket. */
export const RESUME_PARAMETER = 'resume'

/** Returns the name of the cookie that has the ticket with this handle. */
export const resumeCookie = (handle: string): string => `__Host-oriel-${handle}`
