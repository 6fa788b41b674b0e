/**
 * Finds out why a WebSocket did not open. The proxy of the console sends its refusals in close frames, so such a failure comes
 * from a server on the way, whose HTTP status the browser hides. That server answers a plain GET of the address alike, with its
 * own body or with none. Loaded once a console is open, or when one does not open.
 */
import type { Remedy } from '@oriel/contract'
import type { ConsoleEnd } from './console-end.ts'
import { type gatewayTexts, t } from './language/texts/gateway.ts'
import { withoutCredential } from './resumption.ts'

/** How long the answer may take. */
export const askTimeoutMs = 5_000
/** The proxy's own faults are shorter. The rest of a longer body is not read. */
const maxFaultBytes = 4_096

type Reason = keyof typeof gatewayTexts extends `end.${infer Name}` ? Name : never

const remedies = {
  proxy_unreachable: 'reconnect',
  too_many_requests: 'reconnect',
  sign_in_needed: 'none',
  gateway_refused: 'none',
  no_console: 'new-console',
} as const satisfies Record<Reason, Remedy>

export interface Asking {
  readonly signal: AbortSignal
  /** The address of the page. */
  readonly page: string
  readonly fetch?: typeof fetch
}

/**
 * Asks over HTTP why the WebSocket at `address` did not open. Returns `undefined` if the answer does not tell: the proxy itself
 * answers, or the console has another origin than the page, so that the browser hides this answer too. Never rejects.
 */
export async function whyUnopened(address: URL, { signal, page, fetch: get = fetch }: Asking) {
  const url = withoutCredential(address)
  url.protocol = address.protocol.replace('ws', 'http')
  if (url.origin !== new URL(page).origin) return undefined
  const init: RequestInit = {
    headers: { Accept: 'application/json' },
    cache: 'no-store',
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(askTimeoutMs)]),
  }
  const response = await get(url, init).catch(() => undefined)
  if (response === undefined) return endOf('proxy_unreachable')
  const reason = reasonOfStatus(response.status)
  if (reason === undefined || (await isFaultOfProxy(response))) return undefined
  return endOf(reason, secondsOf(response.headers.get('Retry-After')))
}

function endOf(reason: Reason, retryAfterSeconds?: number): ConsoleEnd {
  const wait = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  return { code: 1006, reason, text: t(`end.${reason}`), remedy: remedies[reason], clean: false, ...wait }
}

/** Returns `undefined` for a status that is no refusal, or that servers answer to any request without an Upgrade. */
function reasonOfStatus(status: number): Reason | undefined {
  if (status >= 500 && status !== 501) return 'proxy_unreachable'
  return reasonsOfRefusals[status]
}

const reasonsOfRefusals: Readonly<Record<number, Reason>> = {
  401: 'sign_in_needed',
  403: 'gateway_refused',
  404: 'no_console',
  407: 'sign_in_needed',
  410: 'no_console',
  429: 'too_many_requests',
}

/** Whether the body is a fault as the proxy of the console sends it: `{"forbidden": {"code": 403, "message": "…"}}`. */
async function isFaultOfProxy(response: Response): Promise<boolean> {
  try {
    const faults: unknown[] = Object.values(JSON.parse(await beginOf(response)) as object)
    const { code, message } = faults[0] as { readonly code?: unknown; readonly message?: unknown }
    return faults.length === 1 && code === response.status && typeof message === 'string'
  } catch {
    return false
  }
}

async function beginOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder()
  const reader = body!.getReader()
  let text = ''
  while (text.length <= maxFaultBytes) {
    const { done, value } = await reader.read()
    if (done) return text
    text += decoder.decode(value, { stream: true })
  }
  await reader.cancel()
  return ''
}

/** Parses `Retry-After`, which is a number of seconds or a date. */
function secondsOf(header: string | null): number | undefined {
  if (header === null) return undefined
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1_000)
  return seconds > 0 ? seconds : undefined
}
