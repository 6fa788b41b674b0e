/** Schemas of hosts, networks, paths of sockets and web addresses. */
import * as Type from 'typebox'
import { networkProblem } from '../addresses.ts'
import { canonicalHost, parseHost } from '../host.ts'
import { parsePathPattern } from '../path-patterns.ts'
import { isUnixHost, parseUnixHost } from '../unix-host.ts'
import { KEY_PARSER, parsedText } from './schemas.ts'

/** A host name or an IP address, without a port. Accepts and removes brackets around an IPv6 address. */
export const host = (options: Type.TStringOptions = {}): Type.TString => parsedText(parseHost, options)

/** A host as for {@link host}, or `unix:` and the path of a Unix socket. */
export const consoleHost = (options: Type.TStringOptions = {}): Type.TString => parsedText(parseConsoleHost, options)

/** A table whose keys are hosts or Unix sockets, normalised by `canonicalHost`. */
export const hostRecord = <S extends Type.TSchema>(value: S, options: Type.TObjectOptions = {}) =>
  Type.Record(Type.String(), value, {
    ...options,
    [KEY_PARSER]: (key: string) => canonicalHost(parseConsoleHost(key)),
  })

/** A pattern of absolute paths, as `pathPatterns` takes them. */
export const pathPattern = (options: Type.TStringOptions = {}): Type.TString => parsedText(parsePathPattern, options)

/** An IP address or a CIDR. */
export const network = (options: Type.TStringOptions = {}): Type.TString => parsedText(parseNetwork, options)

/** A host name, an IP address or a CIDR. */
export const hostOrNetwork = (options: Type.TStringOptions = {}): Type.TString =>
  parsedText((text) => (/^[^/]+\/\d+$/.test(text) ? parseNetwork(text) : parseHost(text)), options)

/** An http or https URL without credentials, because `fetch` rejects a URL with credentials and quotes them in its error. */
export const webUrl = (options: Type.TStringOptions = {}): Type.TString => parsedText(parseWebUrl, options)

const parseConsoleHost = (text: string) => (isUnixHost(text) ? parseUnixHost(text) : parseHost(text))

function parseNetwork(text: string): string {
  const problem = networkProblem(text)
  if (problem !== undefined) throw new TypeError(problem)
  return text
}

function parseWebUrl(text: string): string {
  const url = URL.parse(text)
  const example = 'give an address that starts with http:// or https://, such as https://cloud.example:8774/v2.1'
  if (url === null || !/^https?:\/\//i.test(text) || /\s/.test(text))
    throw new TypeError(`is not a web address, ${example}`)
  if (url.username || url.password) throw new TypeError('has a user or a password in it, give the address without them')
  return text
}
