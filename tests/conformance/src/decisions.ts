/**
 * The reviewed list of intended differences from Nova. Each row selects recordings by a rule, not by name, and has the response
 * that Oriel must give instead, so that a row is a check like a recording. Rows apply in order; several may apply to one
 * recording. A row that applies to no recording fails the run.
 */
import { METHODS } from 'node:http'
import { versionDocument, versionList } from '@oriel/contract'
import {
  caller,
  document,
  fault,
  forbidden,
  noRoute,
  notFound,
  ruleOf,
  serverOf,
  success,
  unversioned,
  versioned,
} from './answers.ts'
import { isChunked } from './exchange.ts'
import type { Expectation, ExpectedBody } from './expectation.ts'
import { type Facts, member, plainPath, requestHeader } from './facts.ts'
import { defaultPolicy } from './settings.ts'
import type { VectorRequest } from './vectors.ts'

export interface Decision {
  /** Rows of one decision share its id. */
  readonly id: string
  readonly nova: string
  readonly oriel: string
  /** The reason, for operators. */
  readonly why: string
  /** Whether this row replaces Nova's response, after the earlier rows. */
  applies(expected: Expectation, facts: Facts): boolean
  instead(expected: Expectation, facts: Facts): Expectation
}

const maxBodyBytes = 114_688
const malformed = 'Malformed request body'
const unexpected = 'Unexpected API Error. Please contact the administrator'

export const decisions: readonly Decision[] = [
  {
    id: 'D1',
    nova: '500 for a console while the server is deleted or migrated',
    oriel: "409, with the protocol's own name",
    why: 'A 500 alerts an operator to a temporary condition.',
    applies: (expected) => expected.status === 500 && says(expected, 'nova.exception.InstanceInvalidState'),
    instead: (expected, facts) => {
      const task = serverOf(facts).taskState
      const call = `get_${facts.protocol}_console`
      return fault(expected, facts, 409, `Cannot '${call}' instance {{server_id}} while it is in task_state ${task}`)
    },
  },
  {
    id: 'D1',
    nova: '500 for xvpvnc by legacy action',
    oriel: '400, as by remote-consoles',
    why: 'A 500 alerts an operator to a fault of the client.',
    applies: (expected) => expected.status === 500 && says(expected, 'nova.exception.ConsoleTypeInvalid'),
    instead: (expected, facts) => fault(expected, facts, 400, `Invalid console type ${facts.type}`),
  },
  {
    id: 'D1',
    nova: '500 for a body that is not UTF-8 or nested too deep',
    oriel: '400',
    why: 'A 500 alerts an operator to a fault of the client.',
    applies: (expected) =>
      expected.status === 500 && says(expected, 'either erred') && expected.standardVersion !== undefined,
    instead: (expected, facts) => fault(expected, facts, 400, malformed),
  },
  {
    id: 'D1',
    nova: '500 for a token without a project',
    oriel: '403',
    why: 'A 500 alerts an operator to a fault of the client.',
    applies: (expected, facts) =>
      expected.status === 500 &&
      says(expected, 'nova.exception.NovaException') &&
      caller(facts)?.projectId === undefined,
    instead: forbidden,
  },
  {
    id: 'D3',
    nova: '/v2 is served in a relaxed form, and every unknown top-level path gets 300',
    oriel: '404',
    why: 'No client that can ask for a console needs them.',
    applies: (expected, facts) => expected.status !== 413 && !/^\/(v2\.1(\/.*)?)?$/s.test(plainPath(facts.path)),
    instead: (_, facts) => noRoute(facts),
  },
  {
    id: 'D3',
    nova: '/ lists v2.0',
    oriel: '/ lists v2.1 alone',
    why: 'Clients must not be sent to an API that does not exist.',
    applies: (expected) => versionsIn(expected).some((version) => member(version, 'id') === 'v2.0'),
    instead: (expected) => {
      const versions = versionsIn(expected).filter((version) => member(version, 'id') !== 'v2.0')
      return { ...expected, body: { kind: 'json', value: { versions } } }
    },
  },
  {
    id: 'D4',
    nova: 'chunked request bodies are dropped',
    oriel: 'they are read, within the same limit',
    why: 'HTTP. Streaming clients and some proxies send nothing else.',
    applies: (expected, { vector: { request } }) =>
      expected.status === 400 && isChunked(request) && request.body !== null,
    instead: (_, facts) => success(facts),
  },
  {
    id: 'D5',
    nova: 'Content-Type is compared with regard to case and blanks around it',
    oriel: 'without',
    why: 'HTTP.',
    applies: (expected, facts) => expected.status === 415 && isJsonByHttp(facts.vector.request.headers['Content-Type']),
    instead: (_, facts) => success(facts),
  },
  {
    id: 'D5',
    nova: 'every OPTIONS that would fail is 200 and empty',
    oriel: 'OPTIONS is CORS alone, and only for configured origins; else a method without a route',
    why: 'HTTP. A 200 to a preflight without permission misleads people who debug it.',
    applies: (expected, { vector }) =>
      vector.request.method === 'OPTIONS' && expected.status === 200 && expected.body.kind === 'empty',
    instead: (_, facts) => noRoute(facts),
  },
  {
    id: 'D6',
    nova: 'serial accepts every type',
    oriel: '400',
    why: 'The URL would not work.',
    applies: (expected, facts) => {
      const { protocol, type, operation } = facts
      if (operation !== 'create' || protocol !== 'serial' || type === 'serial') return false
      return expected.status === 200 || (serverOf(facts).raises !== undefined && expected.status !== 400)
    },
    instead: (expected, facts) => fault(expected, facts, 400, `Invalid console type ${facts.type}`),
  },
  {
    id: 'D7',
    nova: 'rdp says "The server could not comply with the request…"',
    oriel: '"Unavailable console type rdp."',
    why: "The sentence that Nova's authors wrote and lost.",
    applies: (expected, { operation }) =>
      expected.status === 400 && operation !== 'token' && says(expected, 'The server could not comply'),
    instead: (expected, facts) => fault(expected, facts, 400, 'Unavailable console type rdp.'),
  },
  {
    id: 'D8',
    nova: '_method, in the query or in a form, changes the method',
    oriel: 'ignored',
    why: 'A surprise, and a way around filters that look at the method.',
    applies: (_, facts) => overridesMethod(facts),
    instead: (_, facts) => {
      if (facts.operation === undefined) return noRoute(facts)
      if (hasForm(facts)) return fault(versioned(facts), facts, 415, 'Unsupported Content-Type')
      const unknown = "Additional properties are not allowed ('_method' was unexpected)"
      return facts.operation === 'token' && refusesQueries(facts)
        ? fault(versioned(facts), facts, 400, unknown)
        : success(facts)
    },
  },
  {
    id: 'D10',
    nova: 'a token followed by %0A is found',
    oriel: '404',
    why: 'Exact means exact.',
    applies: (expected, { operation, path }) => operation === 'token' && /%0a$/i.test(path) && expected.status === 200,
    instead: (expected, facts) => fault(expected, facts, 404, 'Token not found'),
  },
  {
    id: 'D11',
    nova: 'length -1 drops the first line of the console output',
    oriel: 'everything, as documented',
    why: 'A bug: the first line is where a boot goes wrong.',
    applies: (expected, { json }) =>
      expected.status === 200 && Number(member(member(json, 'os-getConsoleOutput'), 'length')) === -1,
    instead: (_, facts) => success(facts),
  },
  {
    id: 'D14',
    nova: 'a cell that is down reads as token not found',
    oriel: '503 with Retry-After',
    why: 'Honest, and retried.',
    applies: (expected, { vector, operation }) =>
      vector.setup.patch === 'cells_fail' && operation !== 'version' && expected.status >= 400,
    instead: (expected, facts) => ({ ...serviceUnavailable(expected, facts), retryAfter: true }),
  },
  {
    id: 'D15',
    nova: "JSON's extras of Python (NaN, Infinity) are accepted",
    oriel: '400',
    why: 'JSON.',
    applies: (expected, facts) =>
      hasPythonNumbers(facts) && expected.standardVersion !== undefined && ![406, 415].includes(expected.status),
    instead: (expected, facts) => fault(expected, facts, 400, malformed),
  },
  {
    id: 'D9',
    nova: 'schema faults spell values as Python does',
    oriel: "the same status and key; the message names the field's path and what is allowed",
    why: 'Readable, and no Python in TypeScript.',
    applies: (expected, facts) => expected.status === 400 && schemaFault(expected, facts) !== undefined,
    instead: (expected, facts) => ({
      ...expected,
      body: { ...faultBody(expected)!, message: schemaFault(expected, facts)! },
    }),
  },
  {
    id: 'D13',
    nova: 'unexpected driver errors: 500 with the name of a Python class',
    oriel: '500 without',
    why: 'No internals; the log has the cause, by request id.',
    applies: (expected) => expected.status === 500 && says(expected, '<class '),
    instead: (expected, facts) => fault(expected, facts, 500, unexpected),
  },
  {
    id: 'D2',
    nova: 'unknown routes and too large bodies answer a page negotiated by Accept',
    oriel: 'always a JSON fault',
    why: 'One error shape.',
    applies: (expected, { vector }) =>
      (expected.status === 404 || expected.status === 413) && isPage(expected, vector.request.method),
    instead: (expected, facts) =>
      fault(expected, facts, expected.status, expected.body.kind === 'page' ? expected.body.sentence : notFound),
  },
  {
    id: 'D12',
    nova: 'the text of a 413 has a raw %s',
    oriel: 'the limit',
    why: 'A bug.',
    applies: (expected) => expected.status === 413 && says(expected, '(%s)'),
    instead: (expected, facts) =>
      fault(expected, facts, 413, `Request is too large. Larger than max_request_body_size (${maxBodyBytes}).`),
  },

  // Further rows, which only Oriel has.
  {
    id: 'F1',
    nova: '500 without version headers for multipart/form-data without a boundary',
    oriel: '415, as for any other form',
    why: 'As D1: what the client caused is no 500.',
    applies: (expected, facts) =>
      expected.status === 500 && requestHeader(facts, 'content-type')?.startsWith('multipart/') === true,
    instead: (_, facts) => fault(versioned(facts), facts, 415, 'Unsupported Content-Type'),
  },
  {
    id: 'F2',
    nova: "a driver's KeyError on remote-consoles is taken for a missing protocol: 501",
    oriel: '500, as for every unexpected error (D13)',
    why: '501 says that trying again is pointless, while a defect hides behind it and no alarm rings.',
    applies: (expected, facts) => expected.status === 501 && serverOf(facts).raises === 'KeyError',
    instead: (expected, facts) => fault(expected, facts, 500, unexpected),
  },
  {
    id: 'F3',
    nova: 'a version parameter in Accept or Content-Type leads from / to the document of v2.0',
    oriel: 'that of v2.1 is there; for any other version / is the list',
    why: 'As D3: clients must not be sent to an API that does not exist.',
    applies: (expected, { path }) => path === '/' && versionIn(expected) === 'v2.0',
    instead: (_, facts) => ({ ...document(facts, versionList('{{url_base}}'), false), requestIds: false }),
  },
  {
    id: 'F4',
    nova: 'Accept relabels the list of versions as application/atom+xml, though it stays JSON',
    oriel: 'application/json',
    why: 'A wrong label.',
    applies: ({ status, mediaType }) => status < 400 && mediaType !== undefined && !mediaType.endsWith('json'),
    instead: (expected) => ({ ...expected, mediaType: 'application/json' }),
  },
  {
    id: 'F5',
    nova: '[oslo_middleware]enable_proxy_headers_parsing makes version links of X-Forwarded-* and Forwarded',
    oriel: 'links are made of public_url, else of the Host header',
    why: 'One setting that cannot be forged. Nova puts the quotes of Forwarded into the link.',
    applies: (expected, { vector }) =>
      vector.setup.config?.['oslo_middleware.enable_proxy_headers_parsing'] === true && expected.status === 200,
    instead: (expected, facts) => {
      const base = `http://${requestHeader(facts, 'host') ?? '{{host}}'}`
      const value = facts.path === '/' ? versionList(base) : { version: versionDocument(base) }
      return { ...expected, body: { kind: 'json', value } }
    },
  },
  {
    id: 'F6',
    nova: '[oslo_middleware]max_request_body_size can be lowered',
    oriel: `the limit is ${maxBodyBytes} bytes`,
    why: 'No valid request comes near it, and a limit in front of it belongs to the load balancer.',
    applies: (expected, { vector, bodyText }) =>
      vector.setup.config?.['oslo_middleware.max_request_body_size'] !== undefined &&
      expected.status === 413 &&
      Buffer.byteLength(bodyText) <= maxBodyBytes,
    instead: (_, facts) => success(facts),
  },
  {
    id: 'F7',
    nova: '[api]response_validation=error turns a console path that is no UUID into a 400 about the answer',
    oriel: 'the answer',
    why: 'A 400 blames the client for what the driver said; WebMKS paths are no UUIDs.',
    applies: (expected, { vector }) =>
      vector.setup.config?.['api.response_validation'] === 'error' && expected.status === 400,
    instead: (_, facts) => success(facts),
  },
  {
    id: 'F8',
    nova: "a policy rule can compare the caller with the server's user",
    oriel: 'policy is a list of roles; the default one stays in force',
    why: 'Who may is readable at a glance. Projects are always kept apart, users of one project never.',
    applies: (expected, facts) => {
      if (facts.vector.setup.rules?.[ruleOf(facts)] !== 'user_id:%(user_id)s') return false
      if (mayByDefault(facts)) return expected.status === 403
      // Legacy actions check policy before they look the server up.
      return expected.status === 200 || (expected.status === 404 && facts.protocol !== undefined && isAction(facts))
    },
    instead: (expected, facts) => (mayByDefault(facts) ? success(facts) : forbidden(expected, facts)),
  },
  {
    id: 'F9',
    nova: 'a policy rule can let through a caller who has no role at all',
    oriel: 'policy is a list of roles: a caller without one may do nothing',
    why: 'An assignment without a role is a mistake of Keystone configuration, not a permission.',
    applies: (expected, facts) => caller(facts)?.roles.length === 0 && expected.status === 200 && isGoverned(facts),
    instead: forbidden,
  },
  {
    id: 'F10',
    nova: 'a rule that compares projects keeps out admins of other projects',
    oriel: 'admins see every project',
    why: 'What admin means does not depend on a rule; who shall not see all projects must not be admin.',
    applies: (expected, facts) =>
      facts.vector.setup.rules?.[ruleOf(facts)]?.startsWith('project_id') === true &&
      expected.status === 403 &&
      caller(facts)?.roles.includes('admin') === true &&
      isGoverned(facts),
    instead: (_, facts) => success(facts),
  },
  {
    id: 'F11',
    nova: 'a length of digits and a line feed passes',
    oriel: '400',
    why: "An accident of Python's regular expressions.",
    applies: (expected, { json }) =>
      expected.status === 200 && /^-?[0-9]+\n$/.test(String(member(member(json, 'os-getConsoleOutput'), 'length'))),
    instead: (expected, facts) => ({
      ...fault(expected, facts, 400, ''),
      body: { kind: 'fault', key: 'badRequest', code: 400, message: { says: ['length'], never: pythonic } },
    }),
  },
  {
    id: 'F14',
    nova: 'its HTTP server refuses addresses of more than 8 KiB and header lines of more than 16 KiB',
    oriel: 'takes 32 KiB in all',
    why: 'Reverse proxies in front have limits of their own, and signed tokens with many roles are long.',
    applies: (expected, { vector }) =>
      (expected.status === 414 || (expected.status === 400 && expected.mediaType !== 'application/json')) &&
      headBytes(vector.request) > 8192 &&
      headBytes(vector.request) < 32_000,
    instead: (_, facts) => success(facts),
  },
  {
    id: 'F12',
    nova: 'what its HTTP server cannot read gets a 400 without a body',
    oriel: 'a JSON fault',
    why: 'As D2: one error shape.',
    applies: ({ status, mediaType }) => status === 400 && mediaType !== 'application/json',
    instead: (expected, facts) => ({ ...fault(expected, facts, 400, 'Bad Request'), requestIds: true }),
  },
  {
    id: 'F13',
    nova: 'unregistered methods, such as FOO or post, reach the API, and version documents answer them',
    oriel: '404 from the HTTP parser, before anything else is looked at',
    why: "Node's parser knows the registered methods alone, and leniency there is how requests get smuggled.",
    applies: (_, { vector }) => !METHODS.includes(vector.request.method),
    instead: (_, facts) => fault(unversioned, facts, 404, notFound),
  },
  {
    id: 'F15',
    nova: 'the URL of a console carries its token alone',
    oriel: "the server's id before the token",
    why: 'A load balancer brings the viewers of a server to one proxy by it. Clients read the URL as text, or the token by name.',
    applies: (expected) => urlIn(expected) !== undefined,
    instead: (expected) => ({ ...expected, body: withServer(expected.body) }),
  },
]

/** Applies the decisions to `expected`. */
export function decide(expected: Expectation, facts: Facts) {
  const rows: Decision[] = []
  for (const row of decisions) {
    if (!row.applies(expected, facts)) continue
    expected = row.instead(expected, facts)
    rows.push(row)
  }
  return { expected, rows }
}

const faultBody = ({ body }: Expectation) => (body.kind === 'fault' ? body : undefined)

function messageOf(expected: Expectation): string | undefined {
  const message = faultBody(expected)?.message
  return typeof message === 'string' ? message : undefined
}

function urlIn({ body }: Expectation): string | undefined {
  const value = body.kind === 'json' ? body.value : undefined
  const url = member(member(value, 'remote_console') ?? member(value, 'console'), 'url')
  return typeof url === 'string' ? url : undefined
}

function withServer(body: ExpectedBody): ExpectedBody {
  const text = JSON.stringify(body)
    .replace('?token=', '?server={{server_id}}&token=')
    .replace('%3Ftoken%3D', '%3Fserver%3D{{server_id}}%26token%3D')
  return JSON.parse(text) as ExpectedBody
}

const says = (expected: Expectation, part: string) => messageOf(expected)?.includes(part) === true

const serviceUnavailable = (expected: Expectation, facts: Facts): Expectation => {
  const answer = fault(expected, facts, 503, '')
  return { ...answer, body: { kind: 'fault', key: 'serviceUnavailable', code: 503, message: { says: [], never: [] } } }
}

const versionIn = ({ body }: Expectation) =>
  body.kind === 'json' ? member(member(body.value, 'version'), 'id') : undefined

function versionsIn({ body }: Expectation): readonly unknown[] {
  const versions = body.kind === 'json' ? member(body.value, 'versions') : undefined
  return Array.isArray(versions) ? versions : []
}

/** Whether it is, by HTTP, one of the types that Nova accepts as JSON. False for several header lines. */
function isJsonByHttp(contentType: string | readonly string[] = ''): boolean {
  if (typeof contentType !== 'string') return false
  const type = contentType.split(';')[0]!.trim().toLowerCase()
  return ['application/json', 'application/vnd.openstack.compute+json', 'text/plain'].includes(type)
}

/** Whether Nova treats the request as one with another method. */
function overridesMethod(facts: Facts): boolean {
  const inForm = hasForm(facts) ? /_method(?:=|"\s+)(\w+)/.exec(facts.bodyText)?.[1] : undefined
  const override = facts.query.get('_method') || inForm || ''
  return override !== '' && override.toUpperCase() !== facts.vector.request.method && facts.path.startsWith('/v2.1/')
}

const hasForm = (facts: Facts) => /form/.test(requestHeader(facts, 'content-type') ?? '')

/** Whether the requested version refuses unknown query parameters. */
const refusesQueries = (facts: Facts) => Number(versioned(facts).legacyVersion?.split('.')[1]) >= 99

const headBytes = ({ path, headers }: VectorRequest) => path.length + JSON.stringify(headers).length

function hasPythonNumbers({ bodyText, json }: Facts): boolean {
  if (json !== undefined) return false
  const bare = bodyText.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
  if (!/\b(NaN|Infinity)\b/.test(bare)) return false
  try {
    JSON.parse(bodyText.replaceAll(/-?\b(NaN|Infinity)\b/g, '0'))
    return true
  } catch {
    return false
  }
}

const pythonic = [/\bNone\b/, /\bTrue\b/, /\bFalse\b/, /Value: /, /field\/attribute/]

/** The expected message in place of a schema fault that quotes a value of the request. */
function schemaFault(expected: Expectation, facts: Facts) {
  const message = messageOf(expected) ?? ''
  const field = /^Invalid input for field\/attribute (\S+)\. Value: /s.exec(message)?.[1]
  const isWhole = field === undefined && / is not of type '\w+'$/s.test(message)
  if (field === undefined && !isWhole) return undefined
  const allowed = / is not one of \[(.*)\]$/s.exec(message)?.[1]?.split(', ').map(unquoted)
  const required = /'(\w+)' is a required property$/s.exec(message)?.[1]
  const extra = /Additional properties are not allowed \('(\w+)'/s.exec(message)?.[1]
  const kind = / is not of type '(object)'$/s.exec(message)?.[1]
  const minimum = / is less than the minimum of (-?\d+)$/s.exec(message)?.[1]
  const parts = [pathOf(field, facts), ...(allowed ?? []), required, extra, kind, minimum]
  return { says: parts.filter((part) => part !== undefined), never: pythonic }
}

/** The path of a field in the body: within the body's only member, unless it is that member. */
function pathOf(field: string | undefined, { operation, action }: Facts): string | undefined {
  const outer = operation === 'create' ? 'remote_console' : action
  return field === undefined || field === outer ? field : `${outer}.${field}`
}

const unquoted = (text: string) => text.replaceAll("'", '')

// A HEAD has no body, but of the recordings only pages have a media type other than JSON.
function isPage({ status, body, mediaType }: Expectation, method: string): boolean {
  return body.kind === 'page' || (method === 'HEAD' && status >= 400 && mediaType !== 'application/json')
}

const mayByDefault = (facts: Facts) =>
  caller(facts)?.roles.some((role) => defaultPolicy[ruleOf(facts)]?.includes(role)) === true

const isAction = ({ operation, action }: Facts) => operation === 'action' && action !== 'os-getConsoleOutput'

const isGoverned = ({ operation }: Facts) => operation === 'create' || operation === 'action' || operation === 'token'
