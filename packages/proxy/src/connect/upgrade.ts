/** The Upgrade request itself (RFC 6455 section 4.2.1), checked before its token is looked up. */
import type { IncomingMessage } from 'node:http'
import { isPageKey, PAGE_SUBPROTOCOL_PREFIX, REFUSALS_SUBPROTOCOL, TICKET_SUBPROTOCOL_PREFIX } from '@oriel/contract'
import { sha256Hex } from '@oriel/runtime'
import { Refused } from '../refused.ts'

/** The version of RFC 6455, which every browser sends. */
const VERSION = '13'
/** Browsers send about fifteen, proxies add a few. */
const MAX_HEADERS = 100

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** @throws Refused `bad_request` */
export function checkUpgrade({ method, headers, rawHeaders }: IncomingMessage): void {
  if (rawHeaders.length / 2 > MAX_HEADERS) throw bad(`${rawHeaders.length / 2} headers`)
  if (method !== 'GET') throw bad(`method ${method}`)
  if (headers.upgrade?.toLowerCase() !== 'websocket') throw bad('an Upgrade to something else')
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) throw bad('Sec-WebSocket-Key')
  if (headers['sec-websocket-version'] !== VERSION) {
    throw bad('Sec-WebSocket-Version', { 'Sec-WebSocket-Version': VERSION })
  }
}

/**
 * Chooses the subprotocol of a console: the first of `served` that is offered. Returns `undefined` if none is offered
 * besides those that are for the proxy itself.
 * @throws Refused `bad_request` when only others are offered, or the header is malformed
 */
export function chooseSubprotocol(offered: string | undefined, served: readonly string[]): string | undefined {
  const names = subprotocolsOf(offered).filter((name) => !isForProxy(name))
  if (names.length === 0) return undefined
  const chosen = served.find((name) => names.includes(name))
  if (chosen === undefined) throw bad(`only the subprotocols ${JSON.stringify(names.slice(0, 8))} are offered`)
  return chosen
}

/**
 * Returns the SHA-256 of the key by which a page names its session, or `undefined` if it offers none.
 * @throws Refused `bad_request` for a malformed key, or several
 */
export function pageKeyDigest(offered: string | undefined): string | undefined {
  const keys = subprotocolsOf(offered)
    .filter(isPageName)
    .map((name) => name.slice(PAGE_SUBPROTOCOL_PREFIX.length))
  const [key] = keys
  if (key === undefined) return undefined
  if (keys.length > 1) throw bad(`${keys.length} page keys are offered`)
  if (!isPageKey(key)) throw bad('the page key is malformed')
  return sha256Hex(key)
}

const isPageName = (name: string) => name.startsWith(PAGE_SUBPROTOCOL_PREFIX)

/** Whether a subprotocol asks for refusals as close events, or has the key or the ticket of a page. */
const isForProxy = (name: string) =>
  name === REFUSALS_SUBPROTOCOL || isPageName(name) || name.startsWith(TICKET_SUBPROTOCOL_PREFIX)

/** Whether a client asks for refusals as close events, in an Upgrade that a WebSocket server can answer with 101. */
export function offersRefusals(request: IncomingMessage): boolean {
  try {
    checkUpgrade(request)
    return subprotocolsOf(request.headers['sec-websocket-protocol']).includes(REFUSALS_SUBPROTOCOL)
  } catch {
    return false
  }
}

/**
 * The names in Sec-WebSocket-Protocol (RFC 6455 section 4.1): each once.
 * @throws Refused `bad_request`
 */
export function subprotocolsOf(offered: string | undefined): readonly string[] {
  if (offered === undefined) return []
  const names = offered.split(',').map((name) => name.replace(/^[ \t]+|[ \t]+$/g, ''))
  if (!names.every((name) => TOKEN.test(name))) throw bad('a subprotocol is malformed')
  if (new Set(names).size < names.length) throw bad('a subprotocol is offered twice')
  return names
}

const bad = (detail: string, headers: Record<string, string> = {}) => new Refused('bad_request', detail, { headers })
