/** What the tests of consoles with options and of invitations share: callers, proxies, and a log that can be read. */
import { type ConsoleRole, ROLES_HEADER, tokenOf } from '@oriel/contract'
import { createLogger } from '@oriel/runtime'
import { type Caller, SERVER_ID, type TestApi } from '../support.ts'

export const SESSIONS = '/oriel/v1/sessions'
const CONSOLES = `/oriel/v1/servers/${SERVER_ID}/consoles`
export const create = (api: TestApi, body: object, as: Caller = 'member') => api.call('POST', CONSOLES, { as, body })

export interface Created {
  readonly console: { readonly url: string; readonly role: ConsoleRole; readonly expires_at: string }
}

/** Creates a console and returns its token. */
export async function minted(api: TestApi, options: object = {}): Promise<string> {
  const { body } = await create(api, { type: 'novnc', ...options })
  return tokenOf((body as Created).console.url)!
}

export interface PlayedProxy {
  readonly proxy?: string
  readonly client?: string
  /** The roles that it enforces. */
  readonly roles?: string
}

export const admit = (api: TestApi, token: string, proxy?: PlayedProxy) => post(api, { token }, proxy)

/** Comes back to the console of an earlier session. */
export const resume = (api: TestApi, session_id: string, proxy?: PlayedProxy) =>
  post(api, { resume: { session_id } }, proxy)

function post(api: TestApi, credential: object, { proxy = 'proxy-1', client = '10.0.0.9', roles }: PlayedProxy = {}) {
  const headers = roles === undefined ? {} : { [ROLES_HEADER]: roles }
  const body = { ...credential, proxy_id: proxy, client_address: client }
  return api.call('POST', SESSIONS, { as: 'service', body, headers })
}

export const sessionIn = ({ body }: { readonly body: unknown }) => (body as { session: { id: string } }).session.id

/** Reports the end of a session, as its proxy does. */
export const ends = (api: TestApi, id: string, reason: string, bytes_to_client = 0) => {
  const ended = { id, reason, bytes_to_client, bytes_to_console: 0, ended_at: new Date().toISOString() }
  return api.call('PUT', '/oriel/v1/proxies/proxy-1', { as: 'service', body: { open: [], ended: [ended] } })
}

/** A log that can be read. */
export function capture() {
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => void lines.push(JSON.parse(line))
  const log = createLogger({ name: 'test', level: 'trace', destination: { write } })
  return { log, lines, audits: () => lines.filter(({ audit }) => audit !== undefined) }
}
