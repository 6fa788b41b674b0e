/**
 * Reads `X-Forwarded-*` and `Forwarded` (RFC 7239) from trusted proxies: the client of a request, and the scheme and host
 * that the client used.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { type AddressSet, canonicalAddress, sha256Hex } from '@oriel/runtime'

export interface Forwarded {
  /**
   * The client: its address in canonical form. Where a proxy names something else, such as `unknown` or `_hidden`, that
   * name, at most 64 characters long.
   */
  readonly client: string
  /** As the outermost trusted proxy reports it; not checked. */
  readonly scheme?: string | undefined
  readonly host?: string | undefined
}

/** The headers that balancers write: the setting `origin.forwarded_header`. */
export const forwardedHeaders = ['x-forwarded', 'forwarded'] as const
export type ForwardedHeader = (typeof forwardedHeaders)[number]

/**
 * The client of every request whose two headers name different clients. A balancer passes on the header that it does not
 * write as the client sent it, and the proxy does not know which of the two that is. With either name, or both together, a
 * client could choose how it is counted; with this one, such clients share the limits of one address.
 */
const CONFLICTING = 'conflicting-headers'

/**
 * Walks each header from right to left, from `peer` towards the client, and stops at the first address that is not
 * trusted: any client can write the elements left of it.
 * @param peer the other end of the connection, in canonical form
 * @param only the header to read. Default: both, where `X-Forwarded-*` decides scheme and host if it names a client
 */
export function readForwarded(
  headers: IncomingHttpHeaders,
  peer: string,
  trusted: AddressSet,
  only?: ForwardedHeader,
): Forwarded {
  if (!trusted.has(peer)) return { client: peer }
  const x = only === 'forwarded' ? undefined : readXForwarded(headers, peer, trusted)
  const standard = only === 'x-forwarded' ? undefined : walk(peer, elements(textOf(headers.forwarded) ?? ''), trusted)
  if (x?.client === undefined) {
    return { client: standard?.client ?? peer, scheme: x?.scheme ?? standard?.scheme, host: x?.host ?? standard?.host }
  }
  const agree = (standard?.client ?? x.client) === x.client
  return { client: agree ? x.client : CONFLICTING, scheme: x.scheme, host: x.host }
}

/** The values of one kind of header. `client` is absent if the header names no client. */
type Said = { readonly [K in keyof Forwarded]?: Forwarded[K] | undefined }

function readXForwarded(headers: IncomingHttpHeaders, peer: string, trusted: AddressSet): Said {
  const [hops = '', proto, hosts] = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'].map((name) =>
    textOf(headers[name]),
  )
  const { client } = walk(peer, xForwardedElements(hops), trusted)
  return { client, scheme: first(proto), host: first(hosts) }
}

const textOf = (value: string | string[] | undefined) => (Array.isArray(value) ? value.join(',') : value)
const first = (list: string | undefined) => list?.split(',', 1)[0]?.trim()

/** The element that one proxy added. */
interface Element {
  readonly for?: string | undefined
  readonly proto?: string | undefined
  readonly host?: string | undefined
}

function walk(peer: string, said: Iterable<Element>, trusted: AddressSet): Said {
  let at: Said = {}
  for (const element of said) {
    if (!trusted.has(at.client ?? peer)) break
    const { for: node, proto = at.scheme, host = at.host } = element
    at = { client: node === undefined ? at.client : clientOf(node), scheme: proto, host }
    if (node === undefined) break
  }
  return at
}

/** Skips empty list elements (RFC 9110 section 5.6.1.2). */
function* xForwardedElements(header: string): Iterable<Element> {
  for (const hop of header.split(',').reverse()) if (hop.trim() !== '') yield { for: hop.trim() }
}

/** The elements of `Forwarded`, the last one first, so that a malformed one on the left, which any client can send, affects no other. */
function* elements(header: string): Iterable<Element> {
  let end = header.length
  let quoted = false
  for (let i = end - 1; i >= -1; i -= 1) {
    if (header[i] === '"' && header[i - 1] !== '\\') quoted = !quoted
    if (i >= 0 && (quoted || header[i] !== ',')) continue
    const element = header.slice(i + 1, end).trim()
    if (element !== '') yield parseElement(element)
    end = i
  }
}

/** One `name=value`, or nothing between two semicolons. Values that should be quoted are taken without quotes too. */
const PAIR = /\s*([!#$%&'*+.^_`|~\da-z-]+)=(?:([^\s";,]+)|"((?:[^"\\]|\\.)*)")\s*(?:;|$)|\s*(?:;|$)/iy

/** Treats a malformed element's whole text as a client name, so that it does not pass for the trusted proxy that wrote it. */
function parseElement(text: string): Element {
  const pairs = new Map<string, string>()
  PAIR.lastIndex = 0
  while (PAIR.lastIndex < text.length) {
    const found = PAIR.exec(text)
    if (!found) return { for: text }
    const [, name, plain, quoted] = found
    if (name !== undefined) pairs.set(name.toLowerCase(), plain ?? quoted!.replace(/\\(.)/g, '$1'))
  }
  return { for: pairs.get('for'), proto: pairs.get('proto'), host: pairs.get('host') }
}

/** Names of clients that a proxy does not name by address. The contract allows at most 64 characters. */
const NAME = /^[\w.-]{1,64}$/

/** The client that a proxy names: `192.0.2.7`, `192.0.2.7:51234`, `[2001:db8::1]:443`, `2001:db8::1`, `unknown`, `_hidden`. */
function clientOf(node: string): string {
  const bracketed = /^\[([^\]]*)\](?::[\w.-]*)?$/.exec(node)?.[1]
  const withoutPort = node.replace(/:[\w.-]*$/, '')
  const address = canonicalAddress(bracketed ?? node) ?? canonicalAddress(withoutPort)
  if (address !== undefined) return address
  const name = withoutPort.toLowerCase()
  return NAME.test(name) ? name : `unparsed-${sha256Hex(name).slice(0, 16)}`
}
