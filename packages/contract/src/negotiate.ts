/**
 * Negotiates the microversion from the two request headers (Nova rules 3.1–3.11).
 *
 * The standard header, `OpenStack-API-Version`, is a comma-separated list, of which the last element for the service type
 * counts. Without such an element the legacy header `X-OpenStack-Nova-API-Version` counts, and without that the first
 * microversion. Several header lines of one name are joined by commas.
 */
import { EARLIEST, isMicroversion, LATEST, type Microversion } from './microversions.ts'

export const STANDARD_HEADER = 'OpenStack-API-Version'
export const LEGACY_HEADER = 'X-OpenStack-Nova-API-Version'
/** The service type in front of the version in the standard header. */
export const SERVICE_TYPE = 'compute'

/** The values of the two headers, with several lines joined by commas. */
export interface VersionHeaders {
  readonly standard?: string | undefined
  readonly legacy?: string | undefined
}

export type Negotiated =
  | { readonly microversion: Microversion }
  /** 400: the version is malformed. 406: it is not supported; the version headers repeat it, from `asked`. */
  | { readonly status: 400; readonly message: string }
  | { readonly status: 406; readonly message: string; readonly asked: string }

/** Returns the microversion that the headers request, or a refusal. */
export function negotiate({ standard, legacy }: VersionHeaders): Negotiated {
  const text = fromStandard(standard) ?? fromLegacy(legacy)
  if (text === undefined) return { microversion: EARLIEST }
  if (text === 'latest') return { microversion: LATEST }
  if (!WELL_FORMED.test(text)) return { status: 400, message: malformed(text) }
  return isMicroversion(text) ? { microversion: text } : { status: 406, message: unsupported(text), asked: text }
}

/** Returns the response headers that name a microversion. */
export const versionHeaders = (version: string) => ({
  [STANDARD_HEADER]: `${SERVICE_TYPE} ${version}`,
  [LEGACY_HEADER]: version,
})

const WELL_FORMED = /^[1-9]\d*\.([1-9]\d*|0)$/

function fromStandard(header: string | undefined): string | undefined {
  const named = header
    ?.split(',')
    .map(typeAndVersion)
    .filter((element) => element !== undefined)
  return named?.at(-1)
}

function typeAndVersion(element: string): string | undefined {
  const [, type, version] = /^\s*(\S+)\s+(.*)$/s.exec(element) ?? []
  return type?.toLowerCase() === SERVICE_TYPE && version?.trim() ? version.trim() : undefined
}

const fromLegacy = (header: string | undefined) => header?.split(',').at(-1)?.trim()

const malformed = (text: string) =>
  `API Version String ${text} is of invalid format. Must be of format MajorNum.MinorNum.`

const unsupported = (text: string) =>
  `Version ${text} is not supported by the API. Minimum is ${EARLIEST} and maximum is ${LATEST}.`
