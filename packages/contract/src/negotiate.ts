/**
 * Version negotiation: from the two request headers to the microversion that answers (Nova rules 3.1–3.11).
 *
 * The standard header, `OpenStack-API-Version`, is a comma-separated list in which the last element that names the
 * service type counts; without one, the legacy header `X-OpenStack-Nova-API-Version` does; without either, the first
 * microversion. Several header lines of one name count as one comma-joined value.
 */
import { EARLIEST, isMicroversion, LATEST, type Microversion } from './microversions.ts'

export const STANDARD_HEADER = 'OpenStack-API-Version'
export const LEGACY_HEADER = 'X-OpenStack-Nova-API-Version'
/** The service type that stands before the version in the standard header. */
export const SERVICE_TYPE = 'compute'

/** The two headers' values as received, several lines joined by commas. */
export interface VersionHeaders {
  readonly standard?: string | undefined
  readonly legacy?: string | undefined
}

export type Negotiated =
  | { readonly microversion: Microversion }
  /** 400: no version can be read. 406: it can, and is not served; `asked` is echoed in the version headers. */
  | { readonly status: 400; readonly message: string }
  | { readonly status: 406; readonly message: string; readonly asked: string }

/** The microversion that both headers ask for, or the refusal. */
export function negotiate({ standard, legacy }: VersionHeaders): Negotiated {
  const text = fromStandard(standard) ?? fromLegacy(legacy)
  if (text === undefined) return { microversion: EARLIEST }
  if (text === 'latest') return { microversion: LATEST }
  if (!WELL_FORMED.test(text)) return { status: 400, message: malformed(text) }
  return isMicroversion(text) ? { microversion: text } : { status: 406, message: unsupported(text), asked: text }
}

/** The headers by which an answer names its microversion. */
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
