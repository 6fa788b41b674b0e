/** `--check-config --online`: checks that the services in the configuration can be used. Creates and changes nothing. */
import { ConfigError, type ConfigFault, deadline, silentLogger } from '@oriel/runtime'
import { createAuthenticator } from './auth/create.ts'
import { RoleMissing } from './auth/keystone-role.ts'
import type { ApiConfig } from './config.ts'
import { reachStore } from './database/open.ts'
import type { SourceConfig } from './sources/config.ts'
import { createLibvirtSource } from './sources/libvirt/source.ts'

/** Deadline for Keystone or the issuer of JWTs: the sign-in and one request together. */
const AUTH_TIMEOUT_MS = 15_000

/**
 * Connects to the store, signs in at Keystone and asks whether it may look tokens up, or fetches the issuer's keys, and lists the
 * domains of each libvirt connection.
 * Leaves QMP sockets alone: each serves one client, which may be the running API.
 * @param signal ends the check of the store and of authentication; libvirt has its own deadlines
 */
export async function checkApiOnline(config: ApiConfig, signal: AbortSignal): Promise<readonly ConfigFault[]> {
  const libvirt = config.sources.flatMap(libvirtFaults)
  return (await Promise.all([storeFaults(config, signal), authFaults(config, signal), ...libvirt])).flat()
}

async function storeFaults({ tokens }: ApiConfig, signal: AbortSignal): Promise<readonly ConfigFault[]> {
  try {
    await reachStore(tokens.store, { statementTimeoutMs: tokens.statement_timeout_ms, signal })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    return [{ path: 'tokens.store', message: messageOf(error) }]
  }
}

async function authFaults({ auth }: ApiConfig, signal: AbortSignal): Promise<readonly ConfigFault[]> {
  using limit = deadline(AUTH_TIMEOUT_MS, signal)
  try {
    await using authenticator = await createAuthenticator(auth, { log: silentLogger() })
    await authenticator.check?.(limit.signal)
    await authenticator.verify?.(limit.signal)
    return []
  } catch (error) {
    if (error instanceof RoleMissing) return [{ path: `auth.keystone.${error.key}`, message: error.message }]
    const message = messageOf(error)
    return [{ path: authKey({ auth }, message), message }]
  }
}

/** The key behind a failure: that of the secret if the credential was refused, else that of the service's address. */
function authKey({ auth }: Pick<ApiConfig, 'auth'>, message: string): string {
  if (auth.method === 'jwt') return auth.jwt?.jwks_url === undefined ? 'auth.jwt.issuer' : 'auth.jwt.jwks_url'
  if (auth.method !== 'keystone') return 'auth.method'
  if (!message.includes('our own credential')) return 'auth.keystone.auth_url'
  const secret =
    auth.keystone?.application_credential_secret === undefined ? 'password' : 'application_credential_secret'
  return `auth.keystone.${secret}`
}

/** Checks each connection of a libvirt source by itself, so that every one that fails is reported. */
function libvirtFaults(source: SourceConfig, index: number): readonly Promise<readonly ConfigFault[]>[] {
  if (source.kind !== 'libvirt') return []
  const path = `sources[${index}].uri`
  if (typeof source.uri === 'string') return [connectionFaults(source, source.uri, path)]
  return source.uri.map((uri, position) => connectionFaults(source, uri, `${path}[${position}]`))
}

async function connectionFaults(source: LibvirtConfig, uri: string, path: string): Promise<readonly ConfigFault[]> {
  await using libvirt = await createLibvirtSource({ ...source, uri }, { log: silentLogger() })
  try {
    await libvirt.check?.()
    return []
  } catch (error) {
    const reason = messageOf(error instanceof Error && error.cause ? error.cause : error)
    return [{ path, message: `${uri} does not answer, correct the URI or the cause: ${oneLine(reason)}` }]
  }
}

type LibvirtConfig = Extract<SourceConfig, { kind: 'libvirt' }>

const oneLine = (text: string) => text.trim().replaceAll(/\s*\n\s*/g, '; ')

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
