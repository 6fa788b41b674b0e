/** Creates the configured authority, by its kind. */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { ConfigError, type ConfigFault, type Logger, silentLogger } from '@oriel/runtime'
import {
  type Auth,
  applicationCredential,
  type KeystoneOptions,
  keystonePassword,
  noAuth,
  staticToken,
} from '@oriel/sdk'
import { unixSockets } from '../hypervisor/unix-socket.ts'
import type { Authority } from './authority.ts'
import { type AuthorityConfig, type AuthorityParts, identityOf } from './config.ts'
import { authorityKeys } from './diagnose.ts'
import { novaAuthority } from './nova.ts'
import { orielAuthority, verifyOriel } from './oriel.ts'
import { authorityFetch } from './trust.ts'

/** Creates an authority of each kind from its configuration. */
const makers = {
  nova: (config, { log }) => {
    const { authority } = config
    const needsNames = identityOf(config) === 'enforce'
    const { validate, renew } = authority
    return novaAuthority({ ...connectionOf(authority), needsNames, validate, renew, log })
  },
  oriel: ({ authority, hypervisor }, { log, processGroup }) =>
    orielAuthority({
      ...connectionOf(authority),
      proxyId: authority.proxy_id ?? newProxyId(),
      sockets: unixSockets(hypervisor.unix_sockets),
      processGroup,
      log,
    }),
} as const satisfies Record<AuthorityConfig['kind'], (config: AuthorityParts, context: AuthorityContext) => Authority>

interface AuthorityContext {
  readonly log: Logger
  readonly processGroup?: string | undefined
}

/**
 * Creates the configured authority.
 * @param processGroup equal for the processes of one proxy, which share their serial ports. Default: there is one process
 */
export const createAuthority = (config: AuthorityParts, log: Logger, processGroup?: string): Authority =>
  makers[config.authority.kind](config, { log, processGroup })

/** Checks the configured authority, for `--check-config --online`: signs in and makes a request that changes nothing. */
export async function authorityOnlineFaults(
  config: AuthorityParts,
  signal: AbortSignal,
): Promise<readonly ConfigFault[]> {
  try {
    await verify(config, signal)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

/** Uses a separate proxy_id, so that the check does not disturb a running proxy with the configured one. */
async function verify(config: AuthorityParts, signal: AbortSignal): Promise<void> {
  if (config.authority.kind === 'oriel')
    return verifyOriel({ ...connectionOf(config.authority), proxyId: newProxyId() }, signal)
  await using authority = createAuthority(config, silentLogger())
  await authority.verify?.(signal)
}

/** The host's name, for readers, and a random part that distinguishes its proxies and their restarts. */
const newProxyId = () =>
  `${hostname()
    .replace(/[^A-Za-z0-9.-]/g, '-')
    .slice(0, 50)}-${randomBytes(4).toString('hex')}`

/** The options for requests to an authority: its address, its certificates and the proxy's credential. */
function connectionOf(authority: AuthorityConfig) {
  const { endpoint, region, interface: endpointInterface, timeout_ms, cafile, auth } = authority
  const shared = { timeoutMs: timeout_ms, fetch: authorityFetch(cafile) }
  return {
    ...shared,
    endpoint,
    keys: authorityKeys(authority),
    auth: authOf(auth, { ...shared, region, interface: endpointInterface }),
  }
}

type AuthConfig = AuthorityConfig['auth']

function authOf(auth: AuthConfig, via: Omit<KeystoneOptions, 'authUrl'>): Auth {
  switch (auth.method) {
    case 'none':
      return noAuth()
    case 'token':
      return staticToken(auth.token.reveal())
    case 'password':
      return keystonePassword({ ...via, ...userOf(auth), ...projectOf(auth), password: auth.password.reveal() })
    case 'application_credential':
      return applicationCredential({
        ...via,
        ...userOf(auth),
        id: auth.application_credential_id,
        name: auth.application_credential_name,
        secret: auth.application_credential_secret.reveal(),
      })
  }
}

const userOf = (auth: Extract<AuthConfig, { auth_url: string }>) => ({
  authUrl: auth.auth_url,
  userId: auth.user_id,
  username: auth.username,
  userDomainId: auth.user_domain_id,
  userDomainName: auth.user_domain_name,
})

const projectOf = (auth: Extract<AuthConfig, { method: 'password' }>) => ({
  projectId: auth.project_id,
  projectName: auth.project_name,
  projectDomainId: auth.project_domain_id,
  projectDomainName: auth.project_domain_name,
})
