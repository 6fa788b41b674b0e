/** Checks the sign-in: at Keystone, and at the compute API. */
import { type Auth, type Client, ConnectionError, Forbidden, NotFound, SettingsError, Unauthorized } from '@oriel/sdk'
import type { Server } from '../cloud/servers.ts'
import { duration } from './clock.ts'
import type { Passed } from './examination.ts'
import { networkProblem } from './network-problem.ts'
import { Problem } from './problem.ts'

/** Signs in at Keystone, and returns the compute endpoint of its catalogue. @throws Problem */
export async function signInAtKeystone(
  auth: Auth,
  given: string | undefined,
  signal: AbortSignal,
): Promise<Passed<string>> {
  try {
    await auth.headers(signal)
    const endpoint = given ?? (await auth.endpoint!(signal))
    return { value: endpoint, detail: `Keystone signs in; the compute endpoint is ${endpoint}` }
  } catch (error) {
    throw keystoneProblem(error)
  }
}

function keystoneProblem(error: unknown): unknown {
  if (error instanceof Unauthorized) {
    const remedy =
      'Correct the user, its domain and the password or the application credential in clouds.yaml or OS_*. `openstack token issue` uses the same.'
    return new Problem(`Keystone refuses the credentials: ${error.message}`, { side: 'client', remedy })
  }
  if (error instanceof SettingsError && /catalogue/.test(error.message)) {
    const remedy =
      'Choose region and interface with OS_REGION_NAME and OS_INTERFACE as in `openstack catalog list`, or give --endpoint.'
    return new Problem(error.message, { side: 'client', remedy })
  }
  const [, origin] = /^(https?:\/\/\S+) /.exec((error as Error).message) ?? []
  if (!(error instanceof ConnectionError) || origin === undefined) return error
  const [setting, listens] = ['auth_url', 'Start Keystone']
  return networkProblem(error, { url: new URL(origin), side: 'identity service', setting, listens })
}

/** The result of an accepted sign-in. */
export interface SignedIn {
  /** Whether the API is Oriel's, with its extension. */
  readonly isOriel: boolean
  /** The servers of the caller, or the error of their list. */
  readonly servers: readonly Server[] | Error
}

/** @param listed the list of servers, the first request that needs a token */
export async function signInAtApi(
  client: Client,
  auth: Auth | undefined,
  listed: () => Promise<readonly Server[]>,
  signal: AbortSignal,
): Promise<Passed<SignedIn>> {
  const servers = await listed().catch((error: Error) => error)
  if (servers instanceof Unauthorized) throw await tokenProblem(servers, auth)
  if (servers instanceof ConnectionError) throw servers
  const isOriel = await hasExtension(client, signal)
  const api = isOriel ? "Oriel's" : "Nova's, without Oriel's extension"
  return { value: { isOriel, servers }, detail: `the token is accepted; the API is ${api}` }
}

/** Asks for the sessions of a server that does not exist. */
async function hasExtension(client: Client, signal: AbortSignal): Promise<boolean> {
  try {
    await client.oriel.listSessions({ query: { server_id: 'none', limit: '1' } }, { signal })
    return true
  } catch (error) {
    if (error instanceof Forbidden) return true
    if (error instanceof NotFound) return false
    throw error
  }
}

async function tokenProblem(refused: Unauthorized, auth: Auth | undefined): Promise<Problem> {
  const token = Object.values((await auth?.headers()) ?? {})[0]
  if (token === undefined) {
    const remedy = 'Set ORIEL_TOKEN, or sign in with --os-cloud or OS_* variables.'
    return new Problem('the API needs a token, and no token is given', { side: 'client', remedy })
  }
  const expiredMs = expiredSinceMs(token)
  const when = expiredMs === undefined ? 'is wrong or has expired' : `expired ${duration(expiredMs)} ago`
  const remedy =
    'Get a new one, such as with `openstack token issue -f value -c id`. For the static tokens of oriel-api, compare its SHA-256 with auth.static.tokens.'
  return new Problem(`the API refuses the token, which ${when}`, { side: 'client', remedy }, { cause: refused })
}

/** Returns how long ago a JWT (RFC 7519) expired. `undefined` for another token, or one that is still valid. */
export function expiredSinceMs(token: string): number | undefined {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { readonly exp?: unknown }
    const sinceMs = Date.now() - Number(exp) * 1000
    return sinceMs > 0 ? sinceMs : undefined
  } catch {
    return undefined
  }
}
