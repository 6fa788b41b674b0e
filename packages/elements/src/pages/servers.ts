/** The API as the home page needs it: which servers there are, and a console of one. */
import { BASE_PATH, type OpenableConsoleType } from '@oriel/contract'
import {
  ConnectionError,
  createClient,
  FaultError,
  Forbidden,
  noAuth,
  OrielError,
  staticToken,
  Unauthorized,
} from '@oriel/sdk'

export interface ServerRow {
  readonly id: string
  readonly name: string
  /** Nova's word, such as `ACTIVE` or `SHUTOFF`. */
  readonly status: string
}

export interface Servers {
  list(signal: AbortSignal): Promise<readonly ServerRow[]>
  /** The access URL of a new console. It carries a token: it is for the person in front of the page alone. */
  openConsole(serverId: string, type: OpenableConsoleType): Promise<string>
}

/** The servers of the API at `apiUrl`, such as `https://cloud.example:8774` without a slash at its end, as `token` may see them. */
export function serversAt(apiUrl: string, token: string | undefined): Servers {
  const client = createClient({
    endpoint: apiUrl + BASE_PATH,
    auth: token === undefined ? noAuth() : staticToken(token),
    timeoutMs: 10_000,
  })
  return {
    async list(signal) {
      const operations = await client.negotiate({ signal })
      const list = async (query: { all_tenants?: 1 }) => {
        const { servers } = await operations.listServersDetail({ query }, { signal })
        return servers.map(({ id, name, status }) => ({ id, name, status }))
      }
      return list({ all_tenants: 1 }).catch(orOwn(() => list({})))
    },
    openConsole: async (serverId, type) => (await client.createConsole(serverId, type)).url,
  }
}

// Who may see every project's servers sees them; everybody else is refused that, and sees the own project's.
const orOwn =
  <T>(listOwn: () => Promise<T>) =>
  (error: unknown) => {
    if (error instanceof Forbidden) return listOwn()
    throw error
  }

/** A failure in words for the page. */
export interface Trouble {
  readonly text: string
  readonly requestId: string | undefined
  /** Whether a token, or another one, is what is missing. */
  readonly signIn: boolean
}

export function troubleOf(error: unknown): Trouble {
  const signIn = error instanceof Unauthorized
  if (error instanceof FaultError) return { text: error.message, requestId: error.requestId, signIn }
  if (error instanceof ConnectionError) {
    return { text: 'The API does not answer. Is it running, and may this page reach it?', requestId: undefined, signIn }
  }
  const text = error instanceof OrielError ? error.message : `This page failed: ${String(error)}`
  return { text, requestId: undefined, signIn }
}
