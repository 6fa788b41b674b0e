/** Fetches the page of a console through everything that is in front of the proxy. */
import { consoleTypes, type OpenableConsoleType } from '@oriel/contract'
import type { Cloud } from '../../cloud/sign-in.ts'
import type { Destination } from '../destination.ts'
import type { Passed } from '../examination.ts'
import { networkProblem } from '../network-problem.ts'
import { NotApplicable, Problem } from '../problem.ts'
import { faultText, get, type Reply, titleOf } from '../request.ts'

/** The program that served a page. */
export interface ServedPage {
  readonly by: 'oriel' | 'novnc' | 'unknown'
  readonly skewMs: number | undefined
}

/** @throws Problem, or NotApplicable for a serial console of nova-serialproxy, which has no page */
export async function checkPage(
  type: OpenableConsoleType,
  pageUrl: string,
  to: Destination,
  cloud: Cloud,
  signal: AbortSignal,
): Promise<Passed<ServedPage>> {
  const reply = await fetched(pageUrl, to, cloud, signal)
  const { skewMs, status } = reply
  const by = makerOf(reply)
  if (by === 'oriel') return { value: { by, skewMs }, detail: "Oriel's page" }
  if (by === 'novnc') return { value: { by, skewMs }, detail: 'the page of noVNC' }
  const hasOwnPage = /^http/.test(to.url.protocol)
  if (!hasOwnPage && !isOrielFault(reply) && status !== 502 && status !== 503)
    throw new NotApplicable(`no page beside ${to.url.host}: nova-serialproxy has none`)
  if (status === 200) return unknownPage(reply, to)
  throw await problemOf(type, pageUrl, reply, to, cloud, signal)
}

async function fetched(url: string, to: Destination, cloud: Cloud, signal: AbortSignal): Promise<Reply> {
  try {
    return await get(url, cloud, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw networkProblem(error, to)
  }
}

function makerOf({ status, text }: Reply): ServedPage['by'] {
  if (status !== 200) return 'unknown'
  if (/<title>Console<\/title>/.test(text) && /<oriel-|id="status-text"/.test(text)) return 'oriel'
  return /noVNC|spice-html5/i.test(text) ? 'novnc' : 'unknown'
}

/** An operator may serve a page of another project, so that only the WebSocket decides. */
function unknownPage(reply: Reply, { url, side, setting }: Destination): Passed<ServedPage> {
  const title = titleOf(reply.text) ?? 'without a title'
  const remedy = `If ${title} is not your console page, correct the host, the port and the path in ${setting}.`
  const detail = `${url.host} serves the page ${title}, which is neither Oriel's nor noVNC's`
  return { value: { by: 'unknown', skewMs: reply.skewMs }, detail, advice: { side, remedy } }
}

async function problemOf(
  type: OpenableConsoleType,
  pageUrl: string,
  reply: Reply,
  to: Destination,
  cloud: Cloud,
  signal: AbortSignal,
): Promise<Problem> {
  const { status } = reply
  const { pathname, host } = new URL(pageUrl)
  const at = `${host}${pathname}`
  if (status >= 300 && status < 400) return redirected(at, reply, pageUrl, to)
  if (status === 404) return missing(type, pageUrl, reply, to, cloud, signal)
  if (status === 421) {
    const remedy = `Add ${JSON.stringify(host.replace(/:\d+$/, ''))} to origin.allowed of oriel-proxy, or let the load balancer keep the Host header.`
    return new Problem(`${at} answers 421: ${faultText(reply.text) ?? 'another Host is expected'}`, {
      side: 'oriel-proxy',
      remedy,
    })
  }
  if (status >= 502 && status <= 504) {
    const remedy = 'Start oriel-proxy, and check the backend, its port and its health check (/readyz).'
    return new Problem(`${at} answers ${status}: no console proxy is behind the load balancer`, {
      side: 'load balancer',
      remedy,
    })
  }
  if (status === 401 || status === 403) {
    const remedy =
      'Let console pages and their WebSockets pass without a sign-in: the token in the URL is the credential.'
    return new Problem(`${at} answers ${status}, so a sign-in is in front of the console proxy`, {
      side: 'load balancer',
      remedy,
    })
  }
  const said = faultText(reply.text) ?? titleOf(reply.text) ?? 'nothing else'
  const remedy = `Read the log of the program behind ${host}, and correct ${to.setting}.`
  return new Problem(`${at} answers ${status}: ${said}`, { side: to.side, remedy })
}

function redirected(at: string, { status, headers }: Reply, pageUrl: string, { setting, side }: Destination): Problem {
  const location = URL.parse(headers.get('location') ?? '', pageUrl)
  const where = location === null ? 'nowhere' : `${location.origin}${location.pathname}`
  const remedy = `Set ${setting} to the address behind the redirect: WebSockets do not follow it.`
  return new Problem(`${at} answers ${status} and redirects to ${where}`, { side, remedy })
}

/** Tries the other paths at which the page could be: with the type's prefix, or without one. */
async function missing(
  type: OpenableConsoleType,
  pageUrl: string,
  reply: Reply,
  to: Destination,
  cloud: Cloud,
  signal: AbortSignal,
): Promise<Problem> {
  const { origin, pathname, host } = new URL(pageUrl)
  const file = consoleTypes[type].page ?? ''
  const others = [`/${type}/${file}`, `/${file}`].filter((path) => path !== pathname)
  for (const path of others) {
    const other = await get(`${origin}${path}`, cloud, signal).catch(() => undefined)
    if (other === undefined || makerOf(other) === 'unknown') continue
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

const isOrielFault = ({ text }: Reply): boolean => /no page has this path|This page does not exist/.test(text)
