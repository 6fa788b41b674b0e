/** Explains the errors of connections: names, ports, schemes and certificates. */
import { wrongScheme } from '@oriel/contract'
import { certificateProblem } from './certificate.ts'
import { causesOf, type Destination, hostOf, isTls, type NodeFault, portOf } from './destination.ts'
import { Problem, type Remedy } from './problem.ts'

/** Explains the error of a connection, of `fetch` or of a WebSocket. */
export function networkProblem(error: unknown, to: Destination): Problem {
  const { url, side, setting } = to
  const web = new URL(url)
  web.protocol = isTls(url) ? 'https:' : 'http:'
  const scheme = wrongScheme(web.href, { error }) ?? statedScheme(error)
  if (scheme !== undefined) return schemeProblem(scheme, to, error)
  const causes = causesOf(error)
  const certificate = causes.map(({ code }) => certificateProblem(code, causes, to)).find(Boolean)
  if (certificate !== undefined) return certificate
  const at = `${hostOf(url)}:${portOf(url)}`
  const code = causes.map(codeOf).find((known) => Object.hasOwn(connectionFaults, known))
  const fault = connectionFaults[code as keyof typeof connectionFaults]?.(at, to)
  if (fault !== undefined) return new Problem(fault[0], fault[1], { cause: error })
  const reason = causes.at(-1)?.message || 'unknown'
  const remedy = `Check ${setting}, and that this machine can reach ${at}.`
  return new Problem(`${at} cannot be reached: ${reason}`, { side, remedy }, { cause: error })
}

/** Node, undici, `ws` and the SDK have different names for a deadline that has passed. */
function codeOf({ code = '', name, reason, message }: NodeFault): string {
  const isLate = name === 'TimeoutError' || reason === 'timeout' || /handshake has timed out/.test(message)
  return isLate || code === 'UND_ERR_CONNECT_TIMEOUT' ? 'ETIMEDOUT' : code
}

const connectionFaults = {
  ENOTFOUND: (at, { setting }) => [
    `the name of ${at} does not resolve on this machine`,
    { side: 'DNS', remedy: `Add it to the DNS that this machine asks, or correct it in ${setting}.` },
  ],
  EAI_AGAIN: (at) => [
    `the DNS that this machine asks does not answer for ${at}`,
    { side: 'DNS', remedy: 'Check the name servers in /etc/resolv.conf.' },
  ],
  ECONNREFUSED: (at, { side, listens }) => [
    `${at} refuses connections: no program listens there`,
    { side, remedy: `${listens}, or open this port.` },
  ],
  ECONNRESET: (at, { side }) => [
    `${at} closed the connection at once`,
    { side, remedy: `Read the log of the program behind ${at}: a firewall, a limit or a wrong protocol closes it.` },
  ],
  EHOSTUNREACH: (at) => [`there is no route to ${at}`, UNROUTED],
  ENETUNREACH: (at) => [`there is no route to ${at}`, UNROUTED],
  ETIMEDOUT: (at) => [
    `${at} does not answer in time`,
    { side: 'client', remedy: `Open the firewall from this machine to ${at}, or raise --timeout.` },
  ],
} as const satisfies Record<string, (at: string, to: Destination) => readonly [string, Remedy]>

const UNROUTED: Remedy = { side: 'client', remedy: 'Connect this machine to that network, such as by the VPN.' }

/** Returns the sentence of `explainedFetch`, which ends with the scheme to write. */
const statedScheme = (error: unknown): string | undefined =>
  /[^ ]+ (speaks|does not answer in|closed the connection).* write https?:\/\//.exec(
    causesOf(error)
      .map(({ message }) => message)
      .join(' '),
  )?.[0]

function schemeProblem(sentence: string, { side, addressSide, setting }: Destination, cause: unknown): Problem {
  const [, found = sentence, scheme] = /^(.*): write (https?):\/\/$/.exec(sentence) ?? []
  const remedy = scheme === undefined ? `Try https:// in ${setting}.` : `Write ${scheme}:// in ${setting}.`
  return new Problem(found, { side: addressSide ?? side, remedy }, { cause })
}
