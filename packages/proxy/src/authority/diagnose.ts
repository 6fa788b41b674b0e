/** Finds the configuration key behind an authority's failure, and distinguishes Keystone's failures from the service's. */
import type { ConfigFault } from '@oriel/runtime'
import { AnswerError, type Auth, FaultError, Forbidden, ServerFault, SettingsError, Unauthorized } from '@oriel/sdk'
import { ImpostorError, UnusableConnectInfo } from './authority.ts'
import type { AuthorityConfig } from './config.ts'
import { isUntrusted } from './trust.ts'

/** Paths of the keys that a failure may come from. */
export interface AuthorityKeys {
  /** The proxy's own secret. */
  readonly credential: string
  /** The key for the service's address: the endpoint, or the key that selects it from Keystone's catalogue. */
  readonly endpoint: string
}

/** Why the authority cannot be used, as a fault of the configuration. */
export interface Diagnosis extends ConfigFault {
  /** Whether the proxy's own credential was refused, so that retrying is pointless. */
  readonly isRefusal: boolean
}

export interface DiagnoseOptions {
  /** The service's name at the beginning of a sentence: `Nova`. */
  readonly service: string
  /** The rule of the service's policy that the proxy's role must pass. */
  readonly rule: string
  readonly keys: AuthorityKeys
  readonly signIn: SignIn
}

export type Diagnose = (cause: unknown) => Diagnosis

/** The keys of a configured authority. */
export function authorityKeys({
  endpoint,
  region,
  interface: endpointInterface,
  auth,
}: AuthorityConfig): AuthorityKeys {
  const chooser =
    region !== undefined ? 'authority.region' : endpointInterface !== undefined ? 'authority.interface' : undefined
  return {
    credential: CREDENTIALS[auth.method],
    endpoint: endpoint === undefined && chooser !== undefined ? chooser : 'authority.endpoint',
  }
}

const CREDENTIALS = {
  none: 'authority.auth.method',
  token: 'authority.auth.token',
  password: 'authority.auth.password',
  application_credential: 'authority.auth.application_credential_secret',
} as const satisfies Record<AuthorityConfig['auth']['method'], string>

/** The keys to name when an authority is created without a configuration. */
export const DEFAULT_KEYS: AuthorityKeys = { credential: 'authority.auth', endpoint: 'authority.endpoint' }

/** Makes the function that diagnoses failures of one authority. */
export function diagnosing({ service, rule, keys, signIn }: DiagnoseOptions): Diagnose {
  return (cause) => {
    if (isUntrusted(cause)) return unusable('authority.cafile', messageOf(cause))
    if (cause instanceof SettingsError) return unusable(keys.endpoint, cause.message)
    return signIn.blames(cause) ? ofKeystone(cause) : ofService(cause)
  }

  function ofKeystone(cause: unknown): Diagnosis {
    if (cause instanceof Unauthorized) {
      return refused(
        keys.credential,
        'Keystone refuses this credential: the secret, the user or the project is wrong, or the user is disabled',
      )
    }
    if (
      cause instanceof FaultError &&
      !(cause instanceof ServerFault) &&
      cause.key !== undefined &&
      cause.status !== 404
    ) {
      return refused('authority.auth', `Keystone refuses the sign-in with ${cause.status}: ${cause.message}`)
    }
    if (cause instanceof ServerFault) return unusable('authority.auth.auth_url', failing('Keystone', cause))
    const what = isAnswer(cause) ? 'no Keystone answers there' : 'Keystone does not answer'
    return unusable('authority.auth.auth_url', `${what}: ${messageOf(cause)}`)
  }

  function ofService(cause: unknown): Diagnosis {
    if (cause instanceof Unauthorized) {
      const why = signIn.isUsed
        ? `${service} refuses the token that Keystone gave: does authority.endpoint belong to this Keystone, and is the token for a project rather than for the system?`
        : `${service} refuses this credential`
      return refused(keys.credential, why)
    }
    if (cause instanceof Forbidden) return forbidden(cause)
    if (cause instanceof ServerFault) return unusable(keys.endpoint, failing(service, cause))
    const what = isAnswer(cause) ? `${service} does not answer there` : `${service} does not answer`
    return unusable(keys.endpoint, `${what}: ${messageOf(cause)}`)
  }

  function forbidden({ message }: Forbidden): Diagnosis {
    if (message.includes('authority.proxy_id')) return refused('authority.proxy_id', message)
    return refused(
      'authority.auth',
      `${service} knows this credential, and its role is not one that ${rule} lets through`,
    )
  }
}

/** An error of OpenStack's form comes from the service. Load balancers answer in other forms while the service behind them is down. */
const failing = (service: string, { key, status, message }: ServerFault): string =>
  key === undefined
    ? `${service} does not answer: a server before it answers ${status}`
    : `${service} answers ${status}: ${message}`

const refused = (path: string, message: string): Diagnosis => ({ path, message, isRefusal: true })
const unusable = (path: string, message: string): Diagnosis => ({ path, message, isRefusal: false })

/** Whether the failure is an HTTP answer, but not from the expected service. */
export const isAnswer = (cause: unknown) =>
  cause instanceof AnswerError ||
  cause instanceof ImpostorError ||
  cause instanceof UnusableConnectInfo ||
  (cause instanceof FaultError && cause.status < 500)

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

/** Remembers which failures came from signing in, rather than from the service that the sign-in is for. */
export interface SignIn {
  /** Signs requests as the given `Auth` does. */
  readonly auth: Auth
  /** Whether the proxy signs in, rather than using a fixed token. */
  readonly isUsed: boolean
  /** Whether `cause` is the failure of a sign-in. */
  blames(cause: unknown): boolean
}

export function followSignIn(auth: Auth): SignIn {
  const failures = new WeakSet<Error>()
  let pending = 0
  const isUsed = auth.endpoint !== undefined
  const follow = async <T>(work: Promise<T>): Promise<T> => {
    pending += 1
    try {
      return await work
    } catch (error) {
      if (error instanceof Error) failures.add(error)
      throw error
    } finally {
      pending -= 1
    }
  }
  return {
    isUsed,
    auth: {
      headers: (signal) => follow(auth.headers(signal)),
      ...(auth.rejected && { rejected: (headers) => auth.rejected?.(headers) }),
      ...(auth.endpoint && { endpoint: (signal) => follow(auth.endpoint!(signal)) }),
    },
    // A request's deadline also ends the sign-in that it waits for, and may fire before the sign-in has noticed.
    blames: (cause) => cause instanceof Error && (failures.has(cause) || (pending > 0 && isTimeout(cause))),
  }
}

const isTimeout = ({ name, reason }: Error & { readonly reason?: unknown }) =>
  name === 'TimeoutError' || reason === 'timeout'
