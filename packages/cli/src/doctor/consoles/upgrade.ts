/** Judges the answer to the Upgrade of a console's WebSocket. */
import type { Destination } from '../destination.ts'
import type { Passed } from '../examination.ts'
import { networkProblem } from '../network-problem.ts'
import { NotApplicable, Problem, type Remedy } from '../problem.ts'
import { faultText, titleOf } from '../request.ts'
import type { Answer } from './attempt.ts'
import { refusalRemedy } from './refusal-remedies.ts'
import type { CloudFacts } from './settings.ts'

/** Refusals that say that the Upgrade itself did not arrive as it was sent. */
const OF_UPGRADE: ReadonlySet<string | undefined> = new Set(['bad_request', 'missing_token', 'not_found'])
/** Refusals of a page, by its Origin and Host headers. */
const OF_PAGE: ReadonlySet<string | undefined> = new Set(['foreign_origin', 'foreign_host'])

/** Checks that the Upgrade passed everything in front of the proxy. @throws Problem */
export function checkUpgrade(answer: Answer, to: Destination, facts: CloudFacts): Passed<Answer> {
  if (answer.kind === 'status') throw statusProblem(answer.status, answer.body, to)
  if (answer.kind === 'error') throw handshakeProblem(answer.error, to)
  if (answer.kind === 'refused' && OF_UPGRADE.has(answer.reason.refusal)) throw refusalProblem(answer, to, facts)
  return { value: answer, detail: 'the Upgrade reaches the console proxy' }
}

/** Checks that the proxy admits the console's own page. @throws Problem */
export function checkOrigin(answer: Answer, origin: string, to: Destination, facts: CloudFacts): Passed<Answer> {
  if (answer.kind === 'refused' && OF_PAGE.has(answer.reason.refusal)) throw refusalProblem(answer, to, facts, origin)
  return { value: answer, detail: `pages of ${origin} may open consoles: Host and scheme arrive unchanged` }
}

/** Returns the answer of a console that is open. @throws Problem for any other, NotApplicable for one that is in use */
export function requireOpen(answer: Answer, to: Destination, facts: CloudFacts): void {
  if (answer.kind !== 'refused') return
  if (answer.reason.refusal === 'in_use') throw new NotApplicable(answer.reason.text)
  throw refusalProblem(answer, to, facts)
}

function refusalProblem(
  { reason }: Extract<Answer, { kind: 'refused' }>,
  { setting }: Destination,
  facts: CloudFacts,
  origin?: string,
): Problem {
  const name = reason.refusal ?? String(reason.code)
  const page = origin === undefined ? '' : ` to pages of ${origin}`
  return new Problem(
    `the proxy refuses the console${page} (${name}): ${reason.text}`,
    refusalRemedy(reason, setting, facts),
  )
}

function statusProblem(status: number, body: string, to: Destination): Problem {
  const { host } = to.url
  const said = faultText(body) ?? titleOf(body)
  const quoted = said === undefined ? '' : ` (${said.replace(/\.$/, '')})`
  const problem = (text: string, remedy: Remedy) => new Problem(`${host} answers ${status}${quoted}: ${text}`, remedy)
  if (status >= 502 && status <= 504) return problem('no console proxy is behind the load balancer', BACKEND)
  if (status === 429) return problem('there are too many requests', SLOWER)
  if (status === 401 || status === 403 || status === 407) return problem('it does not let the WebSocket pass', LET_PASS)
  return problem('the Upgrade header is lost on the way, or another server answers', UPGRADE)
}

const BACKEND: Remedy = {
  side: 'load balancer',
  remedy: 'Start oriel-proxy, and check the backend for WebSockets, its port and its health check (/readyz).',
}
const SLOWER: Remedy = { side: 'load balancer', remedy: 'Raise its limit of requests, or wait and try again.' }
const LET_PASS: Remedy = {
  side: 'load balancer',
  remedy: 'Let WebSockets pass without a sign-in and without a filter: the token in the URL is the credential.',
}
const UPGRADE: Remedy = {
  side: 'load balancer',
  remedy:
    'Pass WebSockets on: nginx needs proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and Connection "upgrade"; HAProxy needs mode http without http-request del-header Upgrade.',
}

function handshakeProblem(error: Error, to: Destination): Problem {
  const { message } = error
  if (/subprotocol/i.test(message)) {
    const remedy = 'Pass on the header Sec-WebSocket-Protocol in both directions.'
    return new Problem(`the answer to the Upgrade has no subprotocol: ${message}`, { side: 'load balancer', remedy })
  }
  if (/Invalid (Upgrade|Connection|Sec-WebSocket-\w+) header|RSV|invalid status/i.test(message)) {
    return new Problem(`the answer to the Upgrade is malformed: ${message}`, UPGRADE)
  }
  return networkProblem(error, to)
}
