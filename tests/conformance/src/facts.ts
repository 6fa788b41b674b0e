/** The parsed parts of a recorded request, for the decisions. */
import { bodyOf } from './exchange.ts'
import type { Vector } from './vectors.ts'

/** The operation of a path below /v2.1 and a method, whatever the version. */
export type Operation = 'create' | 'action' | 'token' | 'servers' | 'version' | undefined

export interface Facts {
  readonly vector: Vector
  /** As sent, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly operation: Operation
  readonly bodyText: string
  /** The body as JSON; `undefined` if it is not JSON. */
  readonly json: unknown
  /** Of a create's or an action's body. */
  readonly protocol: string | undefined
  readonly type: string | undefined
  /** The only member of an action's body. */
  readonly action: string | undefined
}

const protocolOfAction: Readonly<Record<string, string>> = {
  'os-getVNCConsole': 'vnc',
  'os-getSPICEConsole': 'spice',
  'os-getSerialConsole': 'serial',
  'os-getRDPConsole': 'rdp',
}

export function factsOf(vector: Vector): Facts {
  const { method } = vector.request
  const [path, query = ''] = splitOnce(vector.request.path, '?')
  const bodyText = bodyOf(vector.request)?.toString('utf8') ?? ''
  const json = parsed(bodyText)
  const operation = operationOf(method, path!)
  const action = operation === 'action' ? onlyKey(json) : undefined
  const console = operation === 'create' ? member(json, 'remote_console') : member(json, action ?? '')
  return {
    vector,
    path: path!,
    query: new URLSearchParams(query),
    operation,
    bodyText,
    json,
    action,
    protocol: text(member(console, 'protocol')) ?? protocolOfAction[action ?? ''],
    type: text(member(console, 'type')),
  }
}

/** The value of a request header, in any spelling of its name; the first if there are several. */
export function requestHeader({ vector }: Facts, name: string): string | undefined {
  const found = Object.entries(vector.request.headers).find(([other]) => other.toLowerCase() === name.toLowerCase())
  return found === undefined ? undefined : [found[1]].flat()[0]
}

/** A member of a JSON value that may be anything. */
export function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}

/** The path for Nova's router: percent-decoded if possible, double slashes collapsed. */
export function plainPath(path: string): string {
  try {
    return decodeURIComponent(path).replaceAll(/\/{2,}/g, '/')
  } catch {
    return path.replaceAll(/\/{2,}/g, '/')
  }
}

function operationOf(method: string, path: string): Operation {
  const plain = plainPath(path).replace(/^\/v2\.1\/[0-9a-f-]+(?=\/)/, '/v2.1')
  if (/^\/v2\.1\/?$/.test(plain) || plain === '/') return 'version'
  if (method === 'POST' && /^\/v2\.1\/servers\/[^/]+\/remote-consoles$/.test(plain)) return 'create'
  if (method === 'POST' && /^\/v2\.1\/servers\/[^/]+\/action$/.test(plain)) return 'action'
  if (method === 'GET' && /^\/v2\.1\/os-console-auth-tokens\/[^/]+$/.test(plain)) return 'token'
  return method === 'GET' && /^\/v2\.1\/servers(\/[^/]+)?$/.test(plain) ? 'servers' : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function onlyKey(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const keys = Object.keys(value)
  return keys.length === 1 ? keys[0] : undefined
}

function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
