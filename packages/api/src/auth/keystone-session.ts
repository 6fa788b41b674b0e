/** The service token that authorises our look-ups of callers' tokens at Keystone. */
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import { AuthUnavailable } from './authenticator.ts'
import { isApplicationCredential, type KeystoneConfig } from './keystone-config.ts'
import type { JsonResponse } from './request-json.ts'

/** Sends the credential to Keystone and returns its response. */
export type SignIn = (body: unknown) => Promise<JsonResponse>

export interface KeystoneSession {
  /** Returns a token, from the cache if it has not expired. @throws AuthUnavailable */
  token(): Promise<string>
  /** Call it when Keystone refused the token: the next call of `token` signs in again. */
  refused(token: string): void
}

/** How long to wait after a refused credential before trying again: Keystone locks out users who fail too often. */
const refusalSeconds = 5

export function createSession(config: KeystoneConfig, signIn: SignIn, now: () => number): KeystoneSession {
  let current: { token: string; renewAtMs: number } | undefined
  let pending: Promise<string> | undefined
  let refusedUntilMs = 0

  async function renew(): Promise<string> {
    if (now() < refusedUntilMs) throw refusal()
    const response = await signIn(signInBody(config))
    if (response.status === 401) {
      refusedUntilMs = now() + refusalSeconds * 1000
      throw refusal()
    }
    const token = response.headers['x-subject-token']
    if (response.status !== 201 || typeof token !== 'string')
      throw new AuthUnavailable(`Keystone answers our sign-in with ${response.status}`)
    current = { token, renewAtMs: now() + 0.9 * lifeMs(response.body) }
    return token
  }

  return {
    async token() {
      if (current && now() < current.renewAtMs) return current.token
      pending ??= renew().finally(() => {
        pending = undefined
      })
      return pending
    },
    refused(token) {
      if (current?.token === token) current = undefined
    },
  }
}

function refusal(): AuthUnavailable {
  return new AuthUnavailable('Keystone refuses our own credential: check [auth.keystone]', refusalSeconds)
}

const lifeSchema = Compile(Type.Object({ token: Type.Object({ issued_at: Type.String(), expires_at: Type.String() }) }))

/** The token's lifetime by Keystone's clock, since ours may differ. One minute if the response does not contain it. */
function lifeMs(body: unknown): number {
  const life = lifeSchema.Check(body)
    ? Date.parse(body.token.expires_at) - Date.parse(body.token.issued_at)
    : Number.NaN
  return Number.isFinite(life) ? Math.max(life, 0) : 60_000
}

/** The body of `POST /v3/auth/tokens`. */
function signInBody(config: KeystoneConfig): unknown {
  if (isApplicationCredential(config)) return { auth: { identity: applicationCredential(config) } }
  const user = { ...userOf(config), password: config.password?.reveal() }
  return { auth: { identity: { methods: ['password'], password: { user } }, scope: scopeOf(config) } }
}

function applicationCredential(config: KeystoneConfig): unknown {
  const { application_credential_id: id, application_credential_name: name } = config
  const which = id === undefined ? { name, user: userOf(config) } : { id }
  const secret = config.application_credential_secret?.reveal()
  return { methods: ['application_credential'], application_credential: { ...which, secret } }
}

function userOf(config: KeystoneConfig): Record<string, unknown> {
  if (config.user_id !== undefined) return { id: config.user_id }
  return { name: config.username, domain: domain(config.user_domain_id, config.user_domain_name) }
}

function scopeOf(config: KeystoneConfig): unknown {
  if (config.system_scope) return { system: { all: true } }
  if (config.project_id !== undefined) return { project: { id: config.project_id } }
  const { project_name: name, project_domain_id, project_domain_name } = config
  if (name !== undefined) return { project: { name, domain: domain(project_domain_id, project_domain_name) } }
  return { domain: domain(config.domain_id, config.domain_name) }
}

function domain(id: string | undefined, name: string | undefined): { id: string } | { name: string } {
  return id === undefined && name !== undefined ? { name } : { id: id ?? 'default' }
}
