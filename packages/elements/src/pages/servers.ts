/** The home page's view of the API: lists machines and their sessions, creates consoles and ends sessions. */
import { BASE_PATH, type ConsoleRole, consoleTypes, type OpenableConsoleType } from '@oriel/contract'
import {
  type Client,
  ConnectionError,
  consolePage,
  createClient,
  FaultError,
  Forbidden,
  NotFound,
  noAuth,
  OrielError,
  staticToken,
  Unauthorized,
} from '@oriel/sdk'
import { t } from '../language/texts/list.ts'
import { type ListQuery, PAGE_SIZE } from './list-query.ts'
import { listOfNova } from './nova-servers.ts'
import type { ServerPage, ServerRow, SessionRow } from './server-page.ts'

export interface Servers {
  list(query: ListQuery, signal: AbortSignal): Promise<ServerPage>
  /** Lists the open sessions that the user may see, the newest first. */
  sessions(signal: AbortSignal): Promise<readonly SessionRow[]>
  /** Requests the end of a session. Its proxy closes it within a heartbeat. */
  endSession(id: string): Promise<void>
  /** Requests a picture of the machine's screen. */
  screen(id: string, signal: AbortSignal): Promise<Blob>
  /** Creates a console and returns the URL of its page. The URL contains a token: never show or store it. */
  openConsole(server: ConsoleOwner, type: OpenableConsoleType, role: ConsoleRole): Promise<string>
}

/** The name becomes the title of the page; it may be empty. */
export type ConsoleOwner = Pick<ServerRow, 'id' | 'name'>

const MAX_SESSIONS = '1000'
/** The API itself waits for ten seconds for a picture, and before that for those that others asked for. */
const SCREEN_MS = 30_000

/** Returns the servers that `token` may see. `apiUrl` has no trailing slash, such as `https://cloud.example:8774`. */
export function serversAt(apiUrl: string, token: string | undefined): Servers {
  const base = { endpoint: apiUrl + BASE_PATH, auth: token === undefined ? noAuth() : staticToken(token) }
  const client = createClient({ ...base, timeoutMs: 10_000 })
  const patient = createClient({ ...base, timeoutMs: SCREEN_MS })
  const list = lister(client)
  return {
    list,
    async sessions(signal) {
      const query = { state: 'open', limit: MAX_SESSIONS } as const
      return client.oriel.listSessions({ query }, { signal }).then(({ sessions }) => sessions, withoutRight)
    },
    async endSession(session_id) {
      await client.oriel.endSession({ session_id })
    },
    screen(server_id, signal) {
      return patient.oriel.showScreenshot({ server_id }, { signal })
    },
    async openConsole({ id, name }, type, role) {
      const url = role === 'control' ? (await client.createConsole(id, type)).pageUrl : await watchUrl(client, id, type)
      return consolePage(url, type, { title: name }) ?? url
    },
  }
}

/** Lists the machines of Oriel's API, or of a Nova, which has no such list. */
function lister(client: Client): Servers['list'] {
  let isNova = false
  return async ({ search, status, page }, signal) => {
    const query = {
      ...(search.trim() !== '' && { search: search.trim() }),
      ...(status !== '' && { status }),
      limit: String(PAGE_SIZE),
      offset: String((page - 1) * PAGE_SIZE),
    }
    try {
      if (!isNova) return await client.oriel.listServersWithConsoles({ query }, { signal })
    } catch (error) {
      if (!(error instanceof NotFound)) throw error
      isNova = true
    }
    return listOfNova(client, { search, status, page }, signal)
  }
}

async function watchUrl(client: Client, server_id: string, type: OpenableConsoleType): Promise<string> {
  const { console } = await client.oriel.createConsole({ server_id, body: { type, role: 'watch' } })
  return consolePage(console.url, type) ?? console.url
}

/** The consoles of `server` that can be opened at this proxy, which serves `served`, with `role`. */
export const consolesOf = (
  { consoles }: Pick<ServerRow, 'consoles'>,
  served: readonly OpenableConsoleType[],
  role: ConsoleRole,
): readonly OpenableConsoleType[] =>
  served.filter((type) => consoles?.includes(type) !== false && (role === 'control' || consoleTypes[type].watchable))

// A role that was just taken away: the list shows no sessions until its next answer says so too.
function withoutRight(error: unknown): readonly SessionRow[] {
  if (error instanceof Forbidden) return []
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
      text: t('list.api-silent'),
      requestId: undefined,
      signIn,
    }
  }
  const text = error instanceof OrielError ? error.message : t('list.failed', { error: String(error) })
  return { text, requestId: undefined, signIn }
}

/** A failure in one line. */
export function troubleLine(error: unknown): string {
  const { text, requestId } = troubleOf(error)
  return requestId === undefined ? text : t('list.trouble', { text, id: requestId })
}
