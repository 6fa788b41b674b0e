/**
 * The catalogue of HTTP statuses and sentences with which the proxy refuses an Upgrade. A client that offers
 * {@link REFUSALS_SUBPROTOCOL} gets them as a close code and a close reason, since browsers hide the status of a failed
 * Upgrade from pages. The log has the exact cause.
 */
import type { CloseReason } from './close-reason.ts'
import { type RefusalName, type Remedy, remedies } from './remedies.ts'

/**
 * The WebSocket subprotocol by which a client requests refusals as close events. Offer it with `binary`: the proxy selects
 * `binary` for a console, or this one to refuse it, and then closes at once.
 */
export const REFUSALS_SUBPROTOCOL = 'oriel.refusals'

/** Added to a refusal's HTTP status to get its close code, from 4400 to 4599. */
const FIRST_CLOSE_CODE = 4000
/** A control frame has at most 125 bytes (RFC 6455 section 5.5), of which the close code takes two. */
const MAX_REASON_BYTES = 123

interface Refusal {
  readonly status: number
  readonly text: string
  /** Sent as `Retry-After`, if retrying the same address makes sense. */
  readonly retryAfterSeconds?: number
}

/** The details of a refusal beyond its sentence. */
export interface RefusalDetail {
  /** How long to wait before retrying the same address. */
  readonly retryAfterSeconds?: number | undefined
  /** The client's origin, such as `https://portal.example`, which is missing in the proxy's `origin.allowed`. */
  readonly allow?: string | undefined
  /** The label of the session that has the console, for `in_use`. */
  readonly by?: string | undefined
  /** Whether the refused session only watches, for `in_use`: it cannot take the console over. */
  readonly watches?: boolean | undefined
}

/** The sentence of `in_use` for a session that cannot take the console over. */
const IN_USE_WATCHING = 'Another client has this console. Try again once it is free.'

export const refusals = {
  bad_request: {
    status: 400,
    text: 'This address opens a WebSocket. The request is malformed.',
  },
  missing_token: { status: 401, text: 'This address needs a token. Ask for a new console.' },
  unknown_token: {
    status: 403,
    text: 'This console address is not valid or not valid any more. Ask for a new console.',
  },
  foreign_origin: { status: 403, text: 'This page may not open consoles here.' },
  foreign_host: {
    status: 421,
    text: 'Without sign-in only this machine is served: use localhost, or add the host to origin.allowed.',
  },
  wrong_console_type: { status: 403, text: 'This console address belongs to another kind of console.' },
  not_found: { status: 404, text: 'This page does not exist.' },
  console_moved: {
    status: 409,
    text: 'The console has moved since this address was created. Ask for a new console.',
  },
  in_use: {
    status: 409,
    text: 'Another client has this console. Take it over, or try again once it is free.',
  },
  switched_off: { status: 503, text: 'The machine is switched off. The console opens once it is on.' },
  too_many: { status: 429, text: 'Too many consoles are open. Close one and try again.' },
  too_many_attempts: { status: 429, text: 'Too many attempts from your address. Try again in a moment.' },
  console_unreachable: { status: 502, text: 'The console of this machine cannot be reached. Is the machine running?' },
  security_failed: { status: 502, text: 'The machine and the console proxy could not agree on security.' },
  authority_unavailable: {
    status: 503,
    text: 'The service that knows this console does not answer. Try again in a moment.',
    retryAfterSeconds: 5,
  },
  draining: { status: 503, text: 'The console proxy is restarting. Try again in a moment.', retryAfterSeconds: 2 },
  console_timeout: { status: 504, text: 'The console of this machine did not answer in time. Is the machine running?' },
} as const satisfies Record<RefusalName, Refusal>

/** Returns the refusal with this name. */
export const refusal = (name: RefusalName): Refusal & { readonly remedy: Remedy } => ({
  ...refusals[name],
  remedy: remedies[name],
})

/**
 * Formats a refusal for a close frame: the code, and a reason with the name, the details and the sentence, such as
 * `too_many_attempts retry=12: Too many attempts from your address. Try again in a moment.` Omits an origin or a label that does not
 * fit into a close frame. A session that watches gets `in_use role=watch: …`.
 */
export function refusalClose(name: RefusalName, detail: RefusalDetail = {}): { code: number; reason: string } {
  const { status, text: sentence, retryAfterSeconds } = refusal(name)
  const watches = name === 'in_use' && detail.watches === true
  const text = watches ? IN_USE_WATCHING : sentence
  const seconds = detail.retryAfterSeconds ?? retryAfterSeconds
  const begin = `${name}${seconds === undefined ? '' : ` retry=${seconds}`}${watches ? ' role=watch' : ''}`
  const extra = detailOf(detail)
  const full = `${begin} ${extra}: ${text}`
  const fits = extra !== undefined && new TextEncoder().encode(full).byteLength <= MAX_REASON_BYTES
  return { code: FIRST_CLOSE_CODE + status, reason: fits ? full : `${begin}: ${text}` }
}

function detailOf({ allow, by }: RefusalDetail): string | undefined {
  if (allow !== undefined) return `allow=${allow}`
  return by === undefined ? undefined : `by=${encodeURIComponent(by.toWellFormed())}`
}

/** Parses the output of {@link refusalClose}. Returns `undefined` if `code` is not that of a refusal. */
export function readRefusal(code: number, reason = ''): CloseReason | undefined {
  const status = code - FIRST_CLOSE_CODE
  if (status < 400 || status > 599) return undefined
  const [, name = '', details = '', text = reason] = /^([a-z_]+)((?: [a-z]+=[^ ]*)*): (.*)$/su.exec(reason) ?? []
  const detail = new Map(details.split(' ').map((pair) => pair.split('=', 2) as [string, string]))
  const known = Object.hasOwn(remedies, name) ? (name as RefusalName) : undefined
  const retry = /^\d{1,5}$/.exec(detail.get('retry') ?? '')?.[0]
  const allow = /^https?:\/\/[\w.:[\]-]+$/.exec(detail.get('allow') ?? '')?.[0]
  const by = decoded(detail.get('by'))
  return {
    code,
    text,
    // A newer proxy may use a name that is unknown here.
    remedy: known === undefined ? remedyOfStatus(status) : remedies[known],
    ...(known === undefined ? {} : { refusal: known }),
    ...(retry === undefined ? {} : { retryAfterSeconds: Number(retry) }),
    ...(allow === undefined ? {} : { allow }),
    ...(by === undefined ? {} : { by }),
    ...(known === 'in_use' && detail.get('role') === 'watch' ? { watches: true as const } : {}),
  }
}

/** Returns `undefined` for a text that is not percent-encoded. */
function decoded(text = ''): string | undefined {
  try {
    return decodeURIComponent(text) || undefined
  } catch {
    return undefined
  }
}

function remedyOfStatus(status: number): Remedy {
  if (status === 429 || status >= 502) return 'reconnect'
  return [401, 403, 404, 409, 410].includes(status) ? 'new-console' : 'none'
}
