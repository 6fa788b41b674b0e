/** The cookies with tickets. Pages cannot read them, and browsers send them only to this host, over TLS, from its own pages. */
import { resumeCookie } from '@oriel/contract'
import { Secret } from '@oriel/runtime'
import type { IssuedTicket, Tickets } from './tickets.ts'

/** The maximum number of tickets that one browser keeps: it sends all of them with each request, whose header is limited. */
const MAX_COOKIES = 16
const PREFIX = resumeCookie('')
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Strict; Partitioned'

/**
 * Returns the values of Set-Cookie that keep a ticket, and remove those that no longer open and the oldest beyond the limit.
 * @param header the `Cookie` header, in which browsers send older cookies first (RFC 6265 section 5.4)
 * @param now milliseconds since the epoch
 */
export function ticketCookies(
  tickets: Pick<Tickets, 'open'>,
  header: string,
  { ticket, handle, expiresAt }: IssuedTicket,
  now = Date.now(),
): readonly string[] {
  const name = resumeCookie(handle)
  const others = cookiesOf(header).filter((cookie) => cookie.name !== name)
  const open = others.filter(({ value }) => tickets.open(new Secret(value)))
  const kept = new Set(open.slice(-(MAX_COOKIES - 1)))
  const seconds = Math.max(1, Math.floor((expiresAt.getTime() - now) / 1000))
  return [
    `${name}=${ticket.reveal()}; ${ATTRIBUTES}; Max-Age=${seconds}`,
    ...others.filter((cookie) => !kept.has(cookie)).map((cookie) => `${cookie.name}=; ${ATTRIBUTES}; Max-Age=0`),
  ]
}

function cookiesOf(header: string): readonly { readonly name: string; readonly value: string }[] {
  return header.split(';').flatMap((pair) => {
    const [, name, value] = /^\s*(__Host-oriel-[\w-]{1,64})=([^\s]*)\s*$/.exec(pair) ?? []
    return name?.startsWith(PREFIX) && value !== undefined ? [{ name, value }] : []
  })
}
