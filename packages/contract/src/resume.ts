/**
 * Resume tickets, with which a page opens its console again without the token. A page offers its ticket as a WebSocket
 * subprotocol, because logs record URLs, or the browser sends it in a cookie, whose handle the page's address names.
 */

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
