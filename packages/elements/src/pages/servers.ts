/** The home page's view of the API: lists servers and creates consoles. */
import { BASE_PATH, type OpenableConsoleType } from '@oriel/contract'
import {
  ConnectionError,
  consolePage,
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
  /** Nova's status, such as `ACTIVE` or `SHUTOFF`. */
  readonly status: string
}

export interface Servers {
  list(signal: AbortSignal): Promise<readonly ServerRow[]>
  /** Creates a console and returns the URL of its page. The URL contains a token: never show or store it. */
  openConsole(server: ConsoleOwner, type: OpenableConsoleType): Promise<string>
}

/** The name becomes the title of the page; it may be empty. */
export type ConsoleOwner = Pick<ServerRow, 'id' | 'name'>

/** Returns the servers that `token` may see. `apiUrl` has no trailing slash, such as `https://cloud.example:8774`. */
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
    async openConsole({ id, name }, type) {
      const { pageUrl } = await client.createConsole(id, type)
      return consolePage(pageUrl, type, { title: name }) ?? pageUrl
    },
  }
}

// A user who may not list the servers of all projects (403) gets those of their own project.
const orOwn =
  <T>(listOwn: () => Promise<T>) =>
  (error: unknown) => {
    if (error instanceof Forbidden) return listOwn()
    throw error
  }

/** A failure, as the page shows it. */
export interface Trouble {
  readonly text: string
  readonly requestId: string | undefined
  /** Whether the user must sign in with a token, or with another token. */
  readonly signIn: boolean
}

export function troubleOf(error: unknown): Trouble {
  const signIn = error instanceof Unauthorized
  if (error instanceof FaultError) return { text: error.message, requestId: error.requestId, signIn }
  if (error instanceof ConnectionError) {
    return {
      text: 'The API does not answer. Check that it runs and that it allows this page (cors.allowed_origins).',
      requestId: undefined,
      signIn,
    }
  }
  const text = error instanceof OrielError ? error.message : `This page failed: ${String(error)}`
  return { text, requestId: undefined, signIn }
}
