/** Authenticates and sends calls, and repeats them after an expired sign-in. */
import { httpAddress } from './address.ts'
import type { Auth } from './auth.ts'
import { type Deadline, withDeadline, within } from './deadline.ts'
import { type Reply, SettingsError } from './errors.ts'
import { exchange, type Request, type Transport } from './exchange.ts'

/** A request without authentication and endpoint. */
export type Unsigned = Omit<Request, 'url'> & {
  readonly path: string
  /** Returns the prefix of `path` for an endpoint. Default: the endpoint itself. */
  readonly base?: (endpoint: string) => string
}

/** Returns the API's endpoint. May sign in first, to get the catalogue. */
export type EndpointOf = (limit: Deadline) => Promise<string>

/** Sends a call and returns the response, whatever its status. */
export type SendSigned = (unsigned: Unsigned, signal: AbortSignal | undefined) => Promise<Reply>

const identity = <T>(limit: Deadline, work: Promise<T>): Promise<T> => within(limit, 'The identity service', work)

/**
 * Creates a function that sends calls, each under one deadline with its sign-in. Retries a 401 if `auth` can sign in again.
 */
export function signing(via: Transport, auth: Auth, endpointOf: EndpointOf, timeoutMs: number): SendSigned {
  return (unsigned, signal) =>
    withDeadline(timeoutMs, signal, async (limit) => {
      const headers = await identity(limit, auth.headers(limit.signal))
      const reply = await send(unsigned, headers, limit)
      if (reply.status !== 401 || auth.rejected === undefined) return reply
      auth.rejected(headers)
      return send(unsigned, await identity(limit, auth.headers(limit.signal)), limit)
    })

  async function send({ path, base, ...rest }: Unsigned, headers: Record<string, string>, limit: Deadline) {
    const given = await endpointOf(limit)
    const secrets = [...rest.secrets, ...Object.values(headers)]
    const url = (base?.(given) ?? given) + path
    return exchange(via, { ...rest, url, headers: { ...rest.headers, ...headers }, secrets }, limit)
  }
}

/** Uses `endpoint`, or else the catalogue of `auth`. @throws SettingsError if both are missing. */
export function endpointSource(endpoint: string | undefined, auth: Auth): EndpointOf {
  if (endpoint !== undefined) {
    const given = httpAddress('The endpoint', endpoint)
    return async () => given
  }
  if (auth.endpoint === undefined) throw new SettingsError('Give an endpoint, or an auth that has a catalogue')
  return async (limit) => httpAddress('The endpoint', await identity(limit, auth.endpoint!(limit.signal)))
}
