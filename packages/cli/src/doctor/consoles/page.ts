/** Fetches the page of a console through everything that is in front of the proxy. */

import type { Destination } from '../destination.ts'
import type { Passed } from '../examination.ts'
import { networkProblem } from '../network-problem.ts'
import { NotApplicable } from '../problem.ts'
import { get, type Reply, titleOf } from '../request.ts'
import { isOrielFault, makerOf, pageProblem, type ServedPage, type WantedPage } from './page-problem.ts'

/** @throws Problem, or NotApplicable for a serial console of nova-serialproxy, which has no page */
export async function checkPage(wanted: WantedPage): Promise<Passed<ServedPage>> {
  const { to } = wanted
  const reply = await fetched(wanted)
  const { skewMs, status } = reply
  const by = makerOf(reply)
  if (by === 'oriel') return { value: { by, skewMs }, detail: "Oriel's page" }
  if (by === 'novnc') return { value: { by, skewMs }, detail: 'the page of noVNC' }
  const hasOwnPage = /^http/.test(to.url.protocol)
  if (!hasOwnPage && !isOrielFault(reply) && status !== 502 && status !== 503)
    throw new NotApplicable(`no page beside ${to.url.host}: nova-serialproxy has none`)
  if (status === 200) return unknownPage(reply, to)
  throw await pageProblem(reply, wanted)
}

async function fetched({ pageUrl, to, cloud, signal }: WantedPage): Promise<Reply> {
  try {
    return await get(pageUrl, cloud, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw networkProblem(error, to)
  }
}

/** An operator may serve a page of another project, so that only the WebSocket decides. */
function unknownPage(reply: Reply, { url, side, setting }: Destination): Passed<ServedPage> {
  const title = titleOf(reply.text) ?? 'without a title'
  const remedy = `If ${title} is not your console page, correct the host, the port and the path in ${setting}.`
  const detail = `${url.host} serves the page ${title}, which is neither Oriel's nor noVNC's`
  return { value: { by: 'unknown', skewMs: reply.skewMs }, detail, advice: { side, remedy } }
}
