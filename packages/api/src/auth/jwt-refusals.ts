/** Logs tokens that are refused because the configuration and the issuer disagree, rather than because of the client. */
import type { Logger } from '@oriel/runtime'
import { errors } from 'jose'
import { Unauthenticated } from './authenticator.ts'
import type { JwtConfig } from './jwt-config.ts'

/** The expected and the received value. Values are bounded and never contain the token itself. */
interface Disagreement {
  /** One of a fixed set, so that the set of logged causes stays small. */
  readonly cause: string
  readonly expected?: unknown
  readonly received?: unknown
}

const QUIET_MS = 60_000
const SHOWN_CHARACTERS = 120
const SHOWN_ELEMENTS = 5

/**
 * Logs refusals at level info, at most one line a minute for each cause, with the number of suppressed ones. Expired and
 * forged tokens are the client's fault and stay at level debug.
 */
export function refusalReporter(config: JwtConfig, log: Logger, now: () => number): (cause: unknown) => void {
  const last = new Map<string, { at: number; omitted: number }>()
  return (error) => {
    const found = disagreementOf(error, config)
    if (!found) return
    const before = last.get(found.cause)
    if (before && now() - before.at < QUIET_MS) {
      before.omitted += 1
      return
    }
    last.set(found.cause, { at: now(), omitted: 0 })
    log.info({ ...found, ...(before?.omitted ? { omitted: before.omitted } : {}) }, `refused a token: ${found.cause}`)
  }
}

function disagreementOf(error: unknown, { issuer, audience, algorithms }: JwtConfig): Disagreement | undefined {
  // `failure` in jwt.ts throws only these errors for claims; their texts contain only names from the configuration.
  if (error instanceof Unauthenticated) return { cause: error.message }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return { cause: 'its algorithm is not in auth.jwt.algorithms', expected: algorithms }
  }
  if (error instanceof errors.JWKSNoMatchingKey) return { cause: 'the issuer publishes no key with its key id' }
  // The signature was verified before any claim: these values are the issuer's, not an attacker's.
  if (!(error instanceof errors.JWTClaimValidationFailed)) return undefined
  const { claim, payload } = error
  if (claim === 'iss')
    return { cause: 'its claim iss is not auth.jwt.issuer', expected: issuer, received: shown(payload.iss) }
  if (claim === 'aud') {
    return { cause: 'its claim aud does not name auth.jwt.audience', expected: audience, received: shown(payload.aud) }
  }
  return claim === 'exp' ? { cause: 'it lacks the claim exp' } : undefined
}

function shown(value: unknown): unknown {
  if (value === undefined) return 'none'
  if (Array.isArray(value)) return value.slice(0, SHOWN_ELEMENTS).map(shown)
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, SHOWN_CHARACTERS)
}
