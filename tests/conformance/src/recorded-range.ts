/**
 * Replays recordings of one Nova against an API that serves more microversions: raising `LATEST` in the contract changes no
 * recorded answer. A request for `latest` asks for the recorded Nova's latest. Everything else that depends on the range of
 * microversions is converted to this API's range: the first microversion that is refused, the text of the refusal, and the
 * range in version documents.
 */
import { LATEST, LEGACY_HEADER, minor, STANDARD_HEADER } from '@oriel/contract'
import { recordedMicroversions } from '@oriel/testkit'

const recordedLatest = recordedMicroversions.max
// Some version documents are recorded as text, in which the quotes are escaped.
const documentedLatest = new RegExp(`(?<="version\\\\?": \\\\?")${recordedLatest.replace('.', '\\.')}(?=\\\\?")`, 'g')
const next = (v: string) => `2.${minor(v) + 1}`

/** Converts recordings, as JSON, to the range of an API that serves microversions up to `latest`. */
export const convertRange = (json: string, latest: string = LATEST): string =>
  json
    .replaceAll(next(recordedLatest), next(latest))
    .replaceAll(documentedLatest, latest)
    .replaceAll(`maximum is ${recordedLatest}.`, `maximum is ${latest}.`)

/** Replaces `latest` in version headers by the microversion that it meant. */
export const resolveLatest = (headers: Headers): Headers =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, resolveHeader(name, value)]))

type HeaderValue = string | readonly string[]
type Headers = Readonly<Record<string, HeaderValue>>

function resolveHeader(name: string, value: HeaderValue): HeaderValue {
  if (!versionHeaders.has(name.toLowerCase())) return value
  return typeof value === 'string' ? resolve(value) : value.map(resolve)
}

// The other recorded forms, such as `LATEST` and `compute latest x`, are malformed and ask for no microversion.
const resolve = (value: string) => value.replace(/(?<=^|^compute )latest$/, recordedLatest)
const versionHeaders: ReadonlySet<string> = new Set([STANDARD_HEADER, LEGACY_HEADER].map((name) => name.toLowerCase()))
