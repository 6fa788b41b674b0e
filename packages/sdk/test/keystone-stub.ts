/** Keystone v3's `POST /v3/auth/tokens`, as far as the sign-in goes, with the compute API that its catalogue names. */
import { type Answer, type Received, type Served, serve } from './serve.ts'

export const PASSWORD = 'correct horse battery staple'
export const PROJECT = '6f70656e737461636b206d6174746572'

export interface KeystoneStub extends Served {
  /** The bodies of the sign-ins. */
  readonly signIns: () => readonly Received[]
  /** Makes every token that was given out invalid. */
  revokeAll(): void
}

interface Behaviour {
  /** How long tokens live, in seconds; default an hour. */
  readonly lifeSeconds?: number
  /** How far Keystone's clock is ahead of ours, in seconds. */
  readonly clockAheadSeconds?: number
  /** In place of a good answer. */
  readonly answer?: () => Answer | undefined
}

/** Accepts any credential that holds `PASSWORD`; its tokens are `token-1`, `token-2` and so on. */
export async function keystoneStub(behaviour: Behaviour = {}): Promise<KeystoneStub> {
  const valid = new Set<string>()
  let made = 0
  const served = await serve((request) => {
    if (request.path === '/identity/v3/auth/tokens') return signIn(request)
    const authorized = valid.has(String(request.headers['x-auth-token']))
    return authorized ? { body: { servers: [] } } : { status: 401, body: UNAUTHORIZED }
  })
  return Object.assign(served, {
    signIns: () => served.requests.filter(({ path }) => path.endsWith('/auth/tokens')),
    revokeAll: () => valid.clear(),
  })

  function signIn({ body }: Received): Answer {
    const other = behaviour.answer?.()
    if (other !== undefined) return other
    if (!JSON.stringify(body).includes(PASSWORD)) return { status: 401, body: UNAUTHORIZED }
    made += 1
    valid.add(`token-${made}`)
    return { status: 201, headers: { 'X-Subject-Token': `token-${made}` }, body: { token: token() } }
  }

  function token() {
    const issuedMs = Date.now() + (behaviour.clockAheadSeconds ?? 0) * 1000
    const at = (seconds: number) => new Date(issuedMs + seconds * 1000).toISOString()
    return { issued_at: at(0), expires_at: at(behaviour.lifeSeconds ?? 3600), catalog: catalog(served.origin) }
  }
}

const UNAUTHORIZED = {
  error: { code: 401, title: 'Unauthorized', message: 'The request you have made requires authentication.' },
}

const catalog = (origin: string) => [
  { type: 'identity', endpoints: [{ interface: 'public', region_id: 'north', url: `${origin}/identity` }] },
  { type: 'compute', endpoints: ['north', 'south'].flatMap((region_id) => endpointsOf(origin, region_id)) },
]
const endpointsOf = (origin: string, region_id: string) =>
  ['admin', 'internal', 'public'].map((face) => ({
    interface: face,
    region_id,
    url: `${origin}/${region_id}/${face}/v2.1`,
  }))
