/** Parses host names and addresses from a configuration, and explains what is wrong with those that are not valid. */
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { canonicalAddress } from './addresses.ts'
import { isUnixHost } from './unix-host.ts'

/**
 * The form in which hosts are compared: a canonical address, or a name in lower case without its trailing dot. A Unix socket
 * stays as it is.
 */
export function canonicalHost(host: string): string {
  if (isUnixHost(host)) return host
  return canonicalAddress(host) ?? host.toLowerCase().replace(/\.$/, '')
}

/**
 * The host that `text` names, without brackets.
 * @throws TypeError with what is wrong and what to write, in words that follow the quoted text
 */
export function parseHost(text: string): string {
  const address = text.replace(/^\[(.*)\]$/s, '$1')
  if (isIP(address) === 6 || isIP(text) === 4) return address
  const problem = problemOf(text)
  if (problem !== undefined) throw new TypeError(problem)
  return text
}

const EXAMPLE = 'such as compute-1.example or 10.0.0.5'

function problemOf(text: string): string | undefined {
  if (/^[a-z][\w+.-]*:\/\//i.test(text)) return `is a URL, give the host alone${exampleFrom(URL.parse(text)?.hostname)}`
  if (/\s/.test(text)) return `has a blank in it, give one host, ${EXAMPLE}`
  const [, before] = /^(\[[^\]]*\]|[^:]*):\d*$/.exec(text) ?? []
  if (before !== undefined) return `has a port in it, give the host alone${exampleFrom(before)}`
  if (/[:[\]]/.test(text)) return 'is not an IPv6 address, give one such as 2001:db8::5, or a host name'
  if (text.includes('/')) return `has a slash in it, give one host, ${EXAMPLE}`
  return problemOfName(text)
}

/**
 * Allows underscores, which RFC 1123 does not, since resolvers accept them.
 * @see https://www.rfc-editor.org/rfc/rfc1123#section-2.1
 */
function problemOfName(text: string): string | undefined {
  const ascii = /^[ -~]*$/.test(text) ? text : domainToASCII(text)
  if (ascii !== text)
    return ascii ? `is not ASCII, give ${JSON.stringify(ascii)}` : `is not a host name, give one ${EXAMPLE}`
  const labels = text.replace(/\.$/, '').split('.')
  if (labels.includes('')) return `has an empty part between dots, give a host name ${EXAMPLE}`
  if (labels.some((label) => label.length > 63) || text.length > 254) {
    return 'is too long for a host name: 63 characters between dots, 253 in all'
  }
  if (!labels.every((label) => /^[\w-]+$/.test(label))) return `is not a host name, give one ${EXAMPLE}`
  return /^(\d+|0x[\da-f]*)$/i.test(labels.at(-1)!) ? 'is not an IPv4 address, give one such as 10.0.0.5' : undefined
}

const exampleFrom = (host: string | undefined) => {
  if (!host) return `, ${EXAMPLE}`
  const plain = host.replace(/^\[(.*)\]$/, '$1')
  return isIP(plain) !== 0 || problemOfName(plain) === undefined ? `: ${JSON.stringify(plain)}` : `, ${EXAMPLE}`
}

/**
 * Explains why `text` is not an origin as browsers send it, and what to write instead, in words that follow the quoted text.
 */
export function originProblem(text: string): string {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol))
    return 'is not an origin, give one such as https://portal.example'
  if (text.toLowerCase() === `${url.origin}/`) return `ends in a slash, drop the slash: ${JSON.stringify(url.origin)}`
  return `is not an origin as browsers send it, give scheme, host and port alone: ${JSON.stringify(url.origin)}`
}
