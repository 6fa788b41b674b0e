/**
 * The authority `nova`: connect info from `GET /os-console-auth-tokens/{token}` of an unmodified Nova, at the highest
 * microversion that both sides know. Nova says neither type nor expiry nor base URL.
 */
import type { ConnectInfo } from '@oriel/contract'
import { deadline, type Secret, sha256Hex } from '@oriel/runtime'
import { type Auth, createClient, type Fetch, Forbidden, NotFound, Unauthorized } from '@oriel/sdk'
import { type Admission, type Authority, admissionOf } from '../admit/authority.ts'
import { Breaker, type BreakerOptions } from '../admit/breaker.ts'
import { Refused } from '../refused.ts'
import type { InstanceNames } from '../rfb/identity.ts'
import { isNoAnswerOfNames, namesRefusalOf, novaNames } from './nova-names.ts'
import { raceSignal } from './race-signal.ts'

export interface NovaAuthorityOptions {
  /** The compute endpoint, such as `http://127.0.0.1:8774/v2.1`. Default: what the catalogue of `auth` says. */
  readonly endpoint?: string | undefined
  /** A service's credentials, which may read console auth tokens. */
  readonly auth: Auth
  /** Deadline of one look-up: a sick cell can make Nova wait for a minute. */
  readonly timeoutMs: number
  /** In place of the platform's `fetch`. */
  readonly fetch?: Fetch
  /** Whether a console cannot open while Nova does not say what instances are called. Default: true. */
  readonly needsNames?: boolean
  readonly breaker?: BreakerOptions
}

/** Opens nothing until the first look-up; disposal ends look-ups under way. */
export function novaAuthority(options: NovaAuthorityOptions): Authority {
  const { timeoutMs, needsNames = true } = options
  const client = createClient(options)
  const breaker = new Breaker(options.breaker)
  // One of its own: while Nova says what tokens mean, the other one would count nothing in a row.
  const namesBreaker = new Breaker(options.breaker)
  // Closing the proxy ends look-ups under way.
  const closing = new AbortController()
  const shareLookUps = shareFlights<Admission>()
  const shareNames = shareFlights<InstanceNames>()

  return {
    health: { name: 'authority', check },
    breaker,
    namesBreaker,
    admit: async (token, _client, signal) => {
      const asked = shareLookUps(sha256Hex(token.reveal()), () => breaker.run(() => lookUp(token), isNoAnswer))
      return await answered(asked, signal, refusalOf)
    },
    names: async (instance, signal) => {
      const asked = shareNames(instance, () => namesBreaker.run(() => lookUpNames(instance), isNoAnswerOfNames))
      return await answered(asked, signal, namesRefusalOf)
    },
    [Symbol.asyncDispose]: async () => closing.abort(new Error('the proxy is closing')),
  }

  function check(): void {
    breaker.check()
    if (needsNames) namesBreaker.check()
  }

  async function lookUp(token: Secret): Promise<Admission> {
    using limit = deadline(timeoutMs, closing.signal)
    const { signal } = limit
    const api = await client.negotiate({ signal })
    if (!('showConsoleAuthToken' in api)) throw new Error(`Nova speaks ${api.microversion}, which has no connect info`)
    const { console } = await api.showConsoleAuthToken({ console_token: token.reveal() }, { signal })
    return admissionOf(console satisfies ConnectInfo)
  }

  async function lookUpNames(instance: string): Promise<InstanceNames> {
    using limit = deadline(timeoutMs, closing.signal)
    return await novaNames(client, instance, limit.signal)
  }
}

/** What was asked for, as long as the client is there; then the signal's reason. */
async function answered<T>(asked: Promise<T>, signal: AbortSignal, refusalOf: (cause: unknown) => Refused): Promise<T> {
  try {
    return await raceSignal(asked, signal)
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    throw refusalOf(cause)
  }
}

/** Whoever asks the same at the same time shares one question: SPICE opens about ten connections with one token at once. */
function shareFlights<T>(): (key: string, ask: () => Promise<T>) => Promise<T> {
  const flights = new Map<string, Promise<T>>()
  return (key, ask) => {
    const flight = flights.get(key) ?? ask().finally(() => flights.delete(key))
    flights.set(key, flight)
    return flight
  }
}

/** Whether Nova failed to answer the question; that it knows no such token is an answer. */
const isNoAnswer = (error: unknown) => !isUnknown(error)

/** A 404 without Nova's fault in it comes from something else at that address. */
const isUnknown = (error: unknown) => error instanceof NotFound && error.key === 'itemNotFound'

function refusalOf(cause: unknown): Refused {
  if (isUnknown(cause)) return new Refused('unknown_token', 'Nova knows no such token', { cause })
  if (isOwnCredential(cause)) return new Refused('authority_unavailable', OWN_CREDENTIAL, { cause })
  return new Refused('authority_unavailable', 'Nova did not say what the token means', { cause })
}

const isOwnCredential = (error: unknown) => error instanceof Unauthorized || error instanceof Forbidden
const OWN_CREDENTIAL =
  "Nova refused the proxy's own credential: it must be valid, and its role one that os-console-auth-tokens lets through"
