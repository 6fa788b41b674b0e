/** Compares responses with expectations. */
import { type Answer, header, headerLines } from './exchange.ts'
import { type Expectation, type ExpectedBody, type ExpectedMessage, mediaTypeOf, varyNames } from './expectation.ts'
import { fits, type Values } from './placeholders.ts'

/** Returns a sentence for every difference. */
export function compare(answer: Answer, expected: Expectation, values: Values): readonly string[] {
  return [
    ...same('status', answer.status, expected.status),
    ...same('media type', mediaTypeOf(header(answer, 'content-type')), expected.mediaType),
    ...same('OpenStack-API-Version', header(answer, 'openstack-api-version'), expected.standardVersion),
    ...same('X-OpenStack-Nova-API-Version', header(answer, 'x-openstack-nova-api-version'), expected.legacyVersion),
    ...same('Vary', novaVary(answer).join(', '), expected.vary.join(', ')),
    ...requestIds(answer, expected.requestIds),
    ...present('Retry-After', header(answer, 'retry-after'), expected.retryAfter),
    ...authenticate(answer, expected, values),
    ...body(answer, expected.body, values),
  ]
}

// A `Vary: Origin` belongs to CORS, which Nova leaves to a separate filter.
const novaVary = (answer: Answer) => varyNames(headerLines(answer, 'vary')).filter((name) => name !== 'origin')

function same(what: string, actual: unknown, expected: unknown): string[] {
  return actual === expected ? [] : [`${what} is ${show(actual)}, not ${show(expected)}`]
}

function present(what: string, actual: string | undefined, expected: boolean | 'free'): string[] {
  if (expected === 'free' || (actual !== undefined) === expected) return []
  return [expected ? `${what} is missing` : `${what} is there: ${show(actual)}`]
}

function requestIds(answer: Answer, expected: boolean | 'free'): string[] {
  const [compute, openstack] = [header(answer, 'x-compute-request-id'), header(answer, 'x-openstack-request-id')]
  const missing = present('X-Compute-Request-ID', compute, expected)
  if (missing.length > 0) return missing
  return compute === openstack ? [] : [`the request ids differ: ${show(compute)} and ${show(openstack)}`]
}

function authenticate(answer: Answer, { status, wwwAuthenticate }: Expectation, values: Values): string[] {
  if (status !== 401 || wwwAuthenticate === undefined) return []
  const actual = header(answer, 'www-authenticate')
  return actual !== undefined && fits(actual, wwwAuthenticate, values)
    ? []
    : [`WWW-Authenticate is ${show(actual)}, not ${show(wwwAuthenticate)}`]
}

function body(answer: Answer, expected: ExpectedBody, values: Values): string[] {
  const text = answer.body.toString('utf8')
  if (expected.kind === 'empty') return text === '' ? [] : [`there is a body: ${show(text)}`]
  if (expected.kind === 'page') return ['the recording is a page, and no decision says what Oriel answers instead']
  const document = parsed(text)
  if (document === undefined) return [`the body is no JSON: ${show(text)}`]
  if (expected.kind === 'server') return json(serverId(document.value), '{{server_id}}', values)
  return expected.kind === 'json'
    ? json(document.value, expected.value, values)
    : fault(document.value, expected, values)
}

const serverId = (document: unknown) =>
  typeof document === 'object' && document !== null ? member(member(document, 'server') ?? {}, 'id') : undefined

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

function json(actual: unknown, expected: unknown, values: Values): string[] {
  return equals(actual, expected, values) ? [] : [`the body is ${show(actual)}, not ${show(expected)}`]
}

function equals(actual: unknown, expected: unknown, values: Values): boolean {
  if (typeof expected === 'string') return typeof actual === 'string' && fits(actual, expected, values)
  if (typeof expected !== 'object' || expected === null) return actual === expected
  if (typeof actual !== 'object' || actual === null || Array.isArray(actual) !== Array.isArray(expected)) return false
  const names = Object.keys(expected)
  return (
    names.length === Object.keys(actual).length &&
    names.every((name) => Object.hasOwn(actual, name) && equals(member(actual, name), member(expected, name), values))
  )
}

const member = (value: unknown, name: string) => (value as Record<string, unknown>)[name]

function fault(actual: unknown, expected: ExpectedBody & { kind: 'fault' }, values: Values): string[] {
  const entries = typeof actual === 'object' && actual !== null ? Object.entries(actual) : []
  const [key, detail] = entries[0] ?? []
  if (entries.length !== 1 || typeof detail !== 'object' || detail === null) return [`no fault: ${show(actual)}`]
  return [
    ...same('the fault', key, expected.key),
    ...same('its code', detail.code, expected.code),
    ...message(detail.message, expected.message, values),
  ]
}

function message(actual: unknown, expected: ExpectedMessage, values: Values): string[] {
  if (typeof actual !== 'string') return [`the message is ${show(actual)}`]
  if (typeof expected === 'string') {
    return fits(actual, expected, values) ? [] : [`the message is ${show(actual)}, not ${show(expected)}`]
  }
  const silent = expected.says.filter((part) => !actual.includes(part)).map((part) => `does not say ${show(part)}`)
  const spoken = expected.never.filter((pattern) => pattern.test(actual)).map((pattern) => `matches ${pattern}`)
  return [...silent, ...spoken].map((fault) => `the message ${show(actual)} ${fault}`)
}

const show = (value: unknown) => {
  const text = JSON.stringify(value) ?? 'absent'
  return text.length > 500 ? `${text.slice(0, 500)}…` : text
}
