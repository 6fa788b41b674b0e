/**
 * POST `oriel.resume` beside a console: a page that has the console open gets a ticket, with which it comes back without its
 * token. The page's key for the session is the credential.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isPageKey, RESUME_NAME, type ResumeAnswer, type ResumeRequest, refusal } from '@oriel/contract'
import { sha256Hex } from '@oriel/runtime'
import { admitOrigin, type Origin } from '../admit/origin.ts'
import { plainAddress, readSite, type Site } from '../admit/site.ts'
import type { ConnectContext, ListenerFacts } from '../connect/context.ts'
import type { ConsoleRoute } from '../consoles/route.ts'
import { Refused } from '../refused.ts'
import { ticketCookies } from '../resume/cookies.ts'
import type { IssuedTicket } from '../resume/tickets.ts'
import { sendFault } from './send-fault.ts'

const MAX_BODY_BYTES = 1024

/** Whether a request is for tickets, and the proxy issues them. */
export const isResumePath = ({ tickets }: ConnectContext, route: ConsoleRoute | undefined): boolean =>
  tickets.enabled && route?.path.endsWith(`/${RESUME_NAME}`) === true

/** Responds with a ticket, or refuses. Never rejects. */
export async function respondResume(
  context: ConnectContext,
  listener: ListenerFacts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const client: Client = { address: plainAddress(request.socket.remoteAddress) }
  try {
    const site = siteOf(context, request)
    client.address = site.client
    const origin = admitOrigin(request.rawHeaders, site, context.allowedOrigins, listener.publicAddress)
    allowReading(request, response)
    const wanted = await readWanted(request)
    const issued = await context.unauthenticatedLimits.ask(client.address, () => issue(context, wanted.key))
    const isKept = wanted.cookie === true && isOwnSecurePage(origin, site, listener)
    if (isKept) response.setHeader('Set-Cookie', ticketCookies(context.tickets, request.headers.cookie ?? '', issued))
    send(response, isKept ? answerOf(issued) : { ...answerOf(issued), ticket: issued.ticket.reveal() })
  } catch (error) {
    if (!response.destroyed) refuse(context, listener, client, response, error)
  }
}

/** The client, for the log. */
interface Client {
  address: string
}

const siteOf = (
  { trustedProxies, forwardedHeader }: ConnectContext,
  { headers, rawHeaders, socket }: IncomingMessage,
) => readSite({ headers, rawHeaders, peerAddress: socket.remoteAddress }, trustedProxies, forwardedHeader)

/** Lets a page of another origin read the answer, after that origin was admitted. */
function allowReading({ headers: { origin } }: IncomingMessage, response: ServerResponse): void {
  if (origin === undefined) return
  response.setHeader('Access-Control-Allow-Origin', origin).setHeader('Vary', 'Origin')
}

/** @throws Refused `bad_request` */
async function readWanted(request: IncomingMessage): Promise<ResumeRequest> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) throw new Refused('bad_request', 'the body is too long')
    chunks.push(chunk)
  }
  return wantedOf(Buffer.concat(chunks).toString('utf8'))
}

function wantedOf(text: string): ResumeRequest {
  try {
    const { key, cookie } = JSON.parse(text) as { readonly key?: unknown; readonly cookie?: unknown }
    if (typeof key === 'string' && isPageKey(key)) return { key, cookie: cookie === true }
  } catch {}
  throw new Refused('bad_request', 'the body has no page key')
}

/** @throws Refused `unknown_token` if no open session has this key, or its time is over */
async function issue({ pageSessions, tickets }: ConnectContext, key: string): Promise<IssuedTicket> {
  const found = await pageSessions.find(sha256Hex(key))
  if (!found) throw new Refused('unknown_token', 'no open session has this page key')
  const issued = found.grant === undefined ? undefined : tickets.issue(found.grant)
  if (!issued) throw new Refused('unknown_token', 'the session cannot be resumed')
  return issued
}

/** Whether a page has the proxy's own host and was loaded over TLS, so that it can use cookies of that host. */
const isOwnSecurePage = (origin: Origin, { hostName }: Site, { publicAddress: { base } }: ListenerFacts): boolean =>
  origin?.scheme === 'https' && (origin.hostName === hostName || origin.hostName === base?.hostName)

const answerOf = ({ handle, expiresAt }: IssuedTicket): ResumeAnswer => ({
  handle,
  expires_at: expiresAt.toISOString(),
  expires_in_seconds: Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1000)),
})

function send(response: ServerResponse, answer: ResumeAnswer): void {
  const body = JSON.stringify(answer)
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(body)
}

function refuse(
  { log }: ConnectContext,
  { address: listener }: ListenerFacts,
  { address: client }: Client,
  response: ServerResponse,
  error: unknown,
): void {
  const { refusal: name, message: detail, cause: err, headers } = refusedBy(error)
  log[err === undefined ? 'info' : 'warn']({ listener, client, refusal: name, detail, err }, 'refused a ticket')
  const { status, text } = refusal(name)
  // The rest of a body that was refused unread must not count as the next request.
  sendFault(response, status, text, { ...headers, Connection: 'close' })
}

const refusedBy = (cause: unknown): Refused =>
  cause instanceof Refused ? cause : new Refused('authority_unavailable', 'an unexpected error of the proxy', { cause })
