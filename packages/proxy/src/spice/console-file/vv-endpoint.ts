/**
 * The endpoint behind console URLs of type `spice-direct`: exchanges a token for a `.vv` file. Clients are unauthenticated
 * and each request asks the authority, so requests are limited per address. Dials the console before serving the file, so
 * that an unreachable console gives an error page instead of a viewer that fails.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RefusalName } from '@oriel/contract'
import { networkOf, sha256Hex } from '@oriel/runtime'
import { reachConfirmed } from '../../admit/confirm.ts'
import type { RateLimit } from '../../admit/rate-limit.ts'
import { plainAddress, readSite, type Site } from '../../admit/site.ts'
import { requireToken } from '../../admit/token.ts'
import type { Admission, ConsoleClaim } from '../../authority/authority.ts'
import { Refused } from '../../refused.ts'
import type { SessionRecord } from '../../session/open-session.ts'
import { mayTakeOver } from '../channel/admission.ts'
import type { SpiceContext } from '../channel/context.ts'
import { probe } from '../channel/hypervisor-leg.ts'
import type { PublicEndpoint } from '../session/grant.ts'
import { type SpiceTarget, targetText } from '../session/target.ts'
import { VV_TYPE, vvFile, vvFileName } from './vv.ts'
import { PAGE_HEADERS, refusalPage, vvRefusal } from './vv-page.ts'

/** Paths, below the listener's prefix where it serves several types. The second is Kerbside's. */
export const VV_PATHS: readonly string[] = ['/nova', '/nova-console.vv']

export interface VvOptions {
  readonly rateLimit: RateLimit
  /** The proxy's address for viewers. Without a configured `host`, the file contains the host name of the request. */
  readonly endpoint: () => Omit<PublicEndpoint, 'host'> & { readonly host?: string | undefined }
  /** PEM of the CA of the proxy's certificate, if viewers need it. */
  readonly ca: () => string | undefined
  /** The deadline for the trial dial. */
  readonly probeTimeoutMs: number
}

/** The facts known about a client, for the log. */
interface VvClient {
  address: string
  record?: SessionRecord | undefined
}

/** Handles a request for one of {@link VV_PATHS}. Never rejects. */
export async function serveVv(
  context: SpiceContext,
  options: VvOptions,
  listener: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const client: VvClient = { address: plainAddress(request.socket.remoteAddress) }
  const clientClosed = new AbortController()
  response.once('close', () => clientClosed.abort(new Error('the client disconnected')))
  try {
    if (request.method === 'HEAD') return void response.writeHead(200, { ...COMMON, 'Content-Type': VV_TYPE }).end()
    if (request.method !== 'GET') return void response.writeHead(405, { ...COMMON, Allow: 'GET, HEAD' }).end()
    await mint(
      context,
      options,
      listener,
      request,
      response,
      client,
      AbortSignal.any([clientClosed.signal, context.closing]),
    )
  } catch (error) {
    if (clientClosed.signal.aborted) return client.record?.ended('client_lost')
    const name = error instanceof Refused ? error.refusal : 'authority_unavailable'
    const detail = (error as Error).message
    client.record?.ended(name)
    context.metrics.admission(name)
    const level = error instanceof Refused && error.cause === undefined ? 'info' : 'warn'
    context.log[level](
      { listener, client: client.address, refusal: name, detail, err: (error as Error).cause },
      'refused',
    )
    sendPage(response, name, error instanceof Refused ? error.headers : {})
  }
}

const COMMON = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
} as const

async function mint(
  context: SpiceContext,
  options: VvOptions,
  listener: string,
  request: IncomingMessage,
  response: ServerResponse,
  client: VvClient,
  signal: AbortSignal,
): Promise<void> {
  const { settings, timing, tickets, authority, metrics, log } = context
  const { headers, rawHeaders, socket } = request
  if (context.draining()) throw new Refused('draining', 'the proxy is stopping')
  const peer = { headers, rawHeaders, peerAddress: socket.remoteAddress }
  const site = readSite(peer, context.trustedProxies, context.forwardedHeader)
  client.address = site.client
  limitRate(options.rateLimit, site.client)
  // The query only: Oriel sets no cookie for these links.
  const token = requireToken(request.url)
  const admission = await metrics.timed('authority', 'spice-direct', () => authority.admit(token, client, signal))
  client.record = admission.record
  targetOf(admission)
  refuseInUse(context, admission)
  const tokenDigest = sha256Hex(token.reveal())
  using use = context.limits.use({ tokenDigest, client: site.client, type: 'spice-direct' })
  const limits = { dialTimeoutMs: timing.dialTimeoutMs, timeoutMs: options.probeTimeoutMs }
  const dial = async (at: Admission, until: AbortSignal) =>
    void (await probe(targetOf(at), settings.security, { ...limits, signal: until }))
  const validate = authority.validate && {
    validate: (claim: ConsoleClaim, until: AbortSignal) =>
      metrics.timed('validation', 'spice-direct', () => authority.validate!(claim, until)),
  }
  const claim = { admission, type: 'spice-direct', tokenDigest } as const
  const { admission: confirmed } = await reachConfirmed(validate ?? {}, claim, dial, signal)
  const target = targetOf(confirmed)
  const { instance, instanceName, expiresAt, record } = confirmed
  const endpoint = endpointOf(options, site)
  const ticket = tickets.mint({
    instance,
    role: admission.role ?? 'control',
    ...(admission.label === undefined ? {} : { label: admission.label }),
    target,
    tokenDigest,
    client: site.client,
    listener,
    endpoint,
    expiresAt,
    record,
  })
  log.info(
    { listener, instance, client: site.client, digest: tokenDigest.slice(0, 12), target: targetText(target) },
    'console file served',
  )
  const body = vvFile({ endpoint, ticket, title: instanceName ?? `Console of ${instance}`, ca: options.ca() })
  response.writeHead(200, {
    ...COMMON,
    'Content-Type': VV_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'Content-Disposition': `attachment; filename="${vvFileName(instanceName ?? instance)}"`,
  })
  use.opened()
  response.end(body)
}

function limitRate(rateLimit: RateLimit, address: string): void {
  const late = rateLimit.take(networkOf(address))
  if (!late) return
  throw new Refused('too_many', `too many console files for ${address}`, {
    headers: { 'Retry-After': String(late.retryAfterSeconds) },
  })
}

/**
 * Returns the console's address.
 * @throws Refused unless the type is `spice-direct`. With Nova only this type is recognizable, by `tls_port`; others have none.
 */
function targetOf({ type, host, port, tlsPort, socket }: Admission): SpiceTarget {
  if (type !== 'spice-direct') throw new Refused('wrong_console_type', `the token is for ${type ?? 'another type'}`)
  if (socket) return { host, socket }
  return { host, ...(port === 0 ? {} : { port }), ...(tlsPort === undefined ? {} : { tlsPort }) }
}

function refuseInUse({ settings, byInstance }: SpiceContext, { instance, role = 'control' }: Admission): void {
  const user = byInstance.get(instance)
  if (user && !mayTakeOver(settings, role, user.facts.role))
    throw new Refused('in_use', `${user.facts.client} uses the console of ${instance}`)
}

function endpointOf({ endpoint }: VvOptions, site: Site): PublicEndpoint {
  const { host = site.hostName, ...ports } = endpoint()
  return { host, ...ports }
}

function sendPage(response: ServerResponse, name: RefusalName, headers: Readonly<Record<string, string>>): void {
  const body = refusalPage(name)
  response.writeHead(vvRefusal(name).status, {
    ...COMMON,
    ...PAGE_HEADERS,
    'Content-Length': Buffer.byteLength(body),
    ...headers,
  })
  response.end(body)
}
