/** Responses with which decisions replace Nova's. */
import {
  accessUrl,
  faultKey,
  isConsoleType,
  LEGACY_HEADER,
  negotiate,
  STANDARD_HEADER,
  versionDocument,
  versionHeaders,
  versionList,
} from '@oriel/contract'
import { type Expectation, varyNames } from './expectation.ts'
import { type Facts, requestHeader } from './facts.ts'
import { keystoneUri, settings } from './settings.ts'
import { consoleHosts, consolePort, expired, personas, spiceTlsPort, worldServer } from './world.ts'

export const notFound = 'The resource could not be found.'

/** Replaces `expected` by a fault with the same version headers. */
export const fault = (expected: Expectation, facts: Facts, status: number, message: string): Expectation => ({
  ...expected,
  status,
  mediaType: 'application/json',
  wwwAuthenticate: undefined,
  body: isHead(facts) ? { kind: 'empty' } : { kind: 'fault', key: faultKey(status), code: status, message },
})

/** The response for a path and method without a route. Below /v2.1 the token is checked first. */
export function noRoute(facts: Facts): Expectation {
  const isBelow = facts.path.startsWith('/v2.1/')
  const base = { ...unversioned, requestIds: isBelow ? true : ('free' as const) }
  return isBelow && !isKnown(facts) ? { ...base, ...unauthenticated } : fault(base, facts, 404, notFound)
}

/** A document, with the headers of the requested version unless `versions` is false. */
export const document = (facts: Facts, value: unknown, versions = true): Expectation => ({
  ...(versions ? versioned(facts) : unversioned),
  status: 200,
  mediaType: 'application/json',
  body: isHead(facts) ? { kind: 'empty' } : { kind: 'json', value },
})

/** The response to the request if it is valid and policy allows it. */
export function success(facts: Facts): Expectation {
  if (facts.operation === 'create') {
    return document(facts, { remote_console: { protocol: facts.protocol, type: facts.type, url: consoleUrl(facts) } })
  }
  if (facts.action === 'os-getConsoleOutput') return document(facts, { output: serverOf(facts).log.toString() })
  if (facts.operation === 'action') return document(facts, { console: { type: facts.type, url: consoleUrl(facts) } })
  if (facts.operation === 'token') return connectInfo(facts)
  if (facts.path === '/') return { ...document(facts, versionList('{{url_base}}'), false), requestIds: false }
  if (facts.operation === 'version') return document(facts, { version: versionDocument('{{url_base}}') })
  throw new Error(`No success is defined for ${facts.vector.name}`)
}

/** The headers of a response at the requested version. */
export function versioned(facts: Facts): Expectation {
  const asked = negotiate({
    standard: requestHeader(facts, STANDARD_HEADER),
    legacy: requestHeader(facts, LEGACY_HEADER),
  })
  if (!('microversion' in asked)) return unversioned
  const headers = versionHeaders(asked.microversion)
  return {
    ...unversioned,
    standardVersion: headers[STANDARD_HEADER],
    legacyVersion: headers[LEGACY_HEADER],
    vary: varyNames([STANDARD_HEADER, LEGACY_HEADER]),
  }
}

/** The headers of a response without a version. */
export const unversioned: Expectation = {
  status: 200,
  mediaType: 'application/json',
  standardVersion: undefined,
  legacyVersion: undefined,
  vary: [],
  requestIds: true,
  wwwAuthenticate: undefined,
  retryAfter: 'free',
  body: { kind: 'empty' },
}

const unauthenticated = {
  status: 401,
  wwwAuthenticate: `Keystone uri="${keystoneUri}"`,
  body: {
    kind: 'fault',
    key: 'error',
    code: 401,
    message: 'The request you have made requires authentication.',
  },
} as const

/** The persona whose token the request carries. */
export function caller(facts: Facts): (typeof personas)[number] | undefined {
  const token = requestHeader(facts, 'x-auth-token') ?? requestHeader(facts, 'x-storage-token')
  const name = /^\{\{auth:(\w+)\}\}$/.exec(token ?? '')?.[1]
  return name === expired.name ? undefined : personas.find((persona) => persona.name === name)
}

/** The policy rule that governs the request. */
export function ruleOf({ operation, action }: Facts): string {
  if (operation === 'token') return 'os_compute_api:os-console-auth-tokens'
  return action === 'os-getConsoleOutput' ? 'os_compute_api:os-console-output' : 'os_compute_api:os-remote-consoles'
}

/** The response for a caller whom policy refuses. */
export const forbidden = (expected: Expectation, facts: Facts) =>
  fault(expected, facts, 403, `Policy doesn't allow ${ruleOf(facts)} to be performed.`)

export const serverOf = ({ vector }: Facts) => worldServer(vector.setup.server ?? 'active')

const isKnown = (facts: Facts) => caller(facts) !== undefined
const isHead = ({ vector }: Facts) => vector.request.method === 'HEAD'

function consoleUrl({ vector, type = '' }: Facts): string | undefined {
  const settled = settings(vector.setup).consoles[type]
  if (settled === undefined || !isConsoleType(type)) return undefined
  return accessUrl(type, settled.base_url, 'the-token').replace('the-token', '{{token}}')
}

function connectInfo(facts: Facts): Expectation {
  const { token } = facts.vector.setup
  if (token === undefined) return fault(versioned(facts), facts, 404, 'Token not found')
  const { protocol = 'vnc', type, make } = token
  const isDirect = (type ?? make?.console_type) === 'spice-direct'
  const hasTlsPort = isDirect && Number(versioned(facts).legacyVersion?.split('.')[1]) >= 99
  return document(facts, {
    console: {
      instance_uuid: '{{server_id}}',
      host: make ? (make.host ?? 'fakehost') : consoleHosts[protocol as keyof typeof consoleHosts],
      port: make?.port ?? consolePort,
      internal_access_path: make
        ? make.path === undefined
          ? 'FAKE'
          : make.path
        : isDirect
          ? null
          : '{{internal_access_path}}',
      ...(hasTlsPort ? { tls_port: make ? (make.tls_port ?? null) : spiceTlsPort } : {}),
    },
  })
}
