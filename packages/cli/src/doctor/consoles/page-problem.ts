/** Explains the answers in place of a console page. */
import { consoleTypes, type OpenableConsoleType } from '@oriel/contract'
import type { Cloud } from '../../cloud/sign-in.ts'
import type { Destination } from '../destination.ts'
import { Problem, type Remedy } from '../problem.ts'
import { faultText, get, locationOf, type Reply, titleOf } from '../request.ts'

/** The program that served a page. */
export interface ServedPage {
  readonly by: 'oriel' | 'novnc' | 'unknown'
  readonly skewMs: number | undefined
}

/** The page of a console, and how it is fetched. */
export interface WantedPage {
  readonly type: OpenableConsoleType
  readonly pageUrl: string
  readonly to: Destination
  readonly cloud: Cloud
  readonly signal: AbortSignal
}

/** Recognises the program that served a page. */
export function makerOf({ status, text }: Reply): ServedPage['by'] {
  if (status !== 200) return 'unknown'
  if (/<title[^>]*>Console<\/title>/.test(text) && /<oriel-|id="status-text"/.test(text)) return 'oriel'
  return /noVNC|spice-html5/i.test(text) ? 'novnc' : 'unknown'
}

/** Whether oriel-proxy answered that it has no such page. */
export const isOrielFault = ({ text }: Reply): boolean => /no page has this path|This page does not exist/.test(text)

/** Returns the problem for an answer that is no page. */
export async function pageProblem(reply: Reply, wanted: WantedPage): Promise<Problem> {
  const { status, text } = reply
  if (status >= 300 && status < 400) return redirected(reply, wanted)
  if (status === 404) return missing(reply, wanted)
  const { pageUrl, to } = wanted
  const { pathname, host } = new URL(pageUrl)
  const problem = (what: string, remedy: Remedy) => new Problem(`${host}${pathname} answers ${status}${what}`, remedy)
  if (status === 421) return problem(`: ${faultText(text) ?? 'another Host is expected'}`, keepHost(host))
  if (status >= 502 && status <= 504) return problem(': no console proxy is behind the load balancer', BACKEND)
  if (status === 401 || status === 403) return problem(', so a sign-in is in front of the console proxy', LET_PASS)
  const remedy = `Read the log of the program behind ${host}, and correct ${to.setting}.`
  return problem(`: ${faultText(text) ?? titleOf(text) ?? 'nothing else'}`, { side: to.side, remedy })
}

const keepHost = (host: string): Remedy => ({
  side: 'oriel-proxy',
  remedy: `Add ${JSON.stringify(host.replace(/:\d+$/, ''))} to origin.allowed, or let the load balancer keep the Host header.`,
})
const BACKEND: Remedy = {
  side: 'load balancer',
  remedy: 'Start oriel-proxy, and check the backend, its port and its health check (/readyz).',
}
const LET_PASS: Remedy = {
  side: 'load balancer',
  remedy: 'Let console pages and their WebSockets pass without a sign-in: the token in the URL is the credential.',
}

function redirected({ status, headers }: Reply, { pageUrl, to }: WantedPage): Problem {
  const { host, pathname } = new URL(pageUrl)
  const remedy = `Set ${to.setting} to the address behind the redirect: WebSockets do not follow it.`
  const where = locationOf(headers, pageUrl) ?? 'no address'
  return new Problem(`${host}${pathname} answers ${status} and redirects to ${where}`, { side: to.side, remedy })
}

async function missing(reply: Reply, wanted: WantedPage): Promise<Problem> {
  const { type, pageUrl, to } = wanted
  const { origin, pathname, host } = new URL(pageUrl)
  const path = await otherPath(wanted)
  if (path !== undefined) {
    const remedy = `Set ${to.setting} to ${origin}${path}, or let the load balancer pass this path on unchanged.`
    return new Problem(`${host} has no page at ${pathname}, but at ${path}`, { side: to.side, remedy })
  }
  if (isOrielFault(reply)) {
    const remedy = `Add ${JSON.stringify(type)} to the consoles of this [[listen]], and its prefix /${type}/ to ${to.setting} if the listener serves several types.`
    return new Problem(`oriel-proxy at ${host} has no page at ${pathname}`, { side: 'oriel-proxy', remedy })
  }
  const remedy = `Route ${pathname} to the console proxy, with its path unchanged, or correct ${to.setting}.`
  return new Problem(`${host}${pathname} answers 404, and not by a console proxy`, { side: 'load balancer', remedy })
}

/** Tries the other paths at which the page could be: with the prefix of the type, or without one. */
async function otherPath({ type, pageUrl, cloud, signal }: WantedPage): Promise<string | undefined> {
  const { origin, pathname } = new URL(pageUrl)
  const files = new Set([pathname.split('/').at(-1), consoleTypes[type].page])
  const paths = [...files].flatMap((file) => [`/${type}/${file}`, `/${file}`]).filter((path) => path !== pathname)
  for (const path of paths) {
    const reply = await get(`${origin}${path}`, cloud, signal).catch(() => undefined)
    if (reply !== undefined && makerOf(reply) !== 'unknown') return path
  }
  return undefined
}
