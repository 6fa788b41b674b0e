/** Which certificates of Nova, Keystone and oriel-api are good. They are always checked. */
import type { Fetch } from '@oriel/sdk'
import { explainedFetch, trustingFetch } from '@oriel/sdk/node'

/**
 * A `fetch` that trusts the authorities in `cafile`, or those of Node where it is not given.
 * @param cafile PEM, as `authority.cafile` has it
 * @throws (later) where a certificate is from nobody who is trusted, an Error that names that key
 */
export function authorityFetch(cafile: string | undefined): Fetch {
  const fetch = explainedFetch(cafile === undefined ? globalThis.fetch : trustingFetch({ ca: cafile }))
  return async (url, init) => {
    try {
      return await fetch(url, init)
    } catch (error) {
      throw isUntrusted(error) ? Object.assign(new Error(remedyFor(cafile)), { code: codeOf(error) }) : error
    }
  }
}

const remedyFor = (cafile: string | undefined) =>
  cafile === undefined
    ? 'its certificate is from no authority that Node knows: name its authority in authority.cafile'
    : 'its certificate is from no authority in authority.cafile'

/** OpenSSL's verification results that another authority would change, as Node names them. */
const UNTRUSTED: ReadonlySet<string | undefined> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
])
/** Whether another CA in `authority.cafile` would fix the error. */
export const isUntrusted = (error: unknown) => UNTRUSTED.has(codeOf(error))

/** The code of the innermost cause: the platform's `fetch` wraps what TLS says. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  return codeOf(error.cause) ?? (error as NodeJS.ErrnoException).code
}
