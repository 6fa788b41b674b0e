/** Verifies the certificates of Nova, Keystone and oriel-api. Verification cannot be switched off. */
import type { Fetch } from '@oriel/sdk'
import { explainedFetch, trustingFetch } from '@oriel/sdk/node'

/**
 * Creates a `fetch` that trusts the CAs in `cafile`, or Node's CAs if it is absent. Rejects with an Error that names
 * `authority.cafile` when the server's certificate is not trusted.
 * @param cafile PEM, as `authority.cafile` has it
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
    ? 'its certificate is from a CA that Node does not trust: add the CA to authority.cafile'
    : 'its certificate is not from a CA in authority.cafile'

/** OpenSSL's verification errors that another CA would fix, as Node names them. */
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

/** Returns the code of the innermost cause: the platform's `fetch` wraps TLS errors. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  return codeOf(error.cause) ?? (error as NodeJS.ErrnoException).code
}
