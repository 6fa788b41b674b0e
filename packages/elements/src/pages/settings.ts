/** What the proxy tells its home page: `oriel.json`. */
import { type OpenableConsoleType, openableConsoleTypes } from '@oriel/contract'

export interface Settings {
  /** Where the API is, without the version in its path; `null` when the proxy serves another's API alone. */
  readonly apiUrl: string | null
  /** The console types that get a button, the most common first. */
  readonly consoles: readonly OpenableConsoleType[]
}

const timeoutMs = 10_000

/**
 * Fetches `oriel.json` from beside the page: `{ "api_url": string | null, "consoles"?: string[] }`. An `api_url` may be
 * relative to the page. Without `consoles`, `novnc` alone is offered.
 * @throws TypeError, TimeoutError or SyntaxError when there is no usable answer
 */
export async function readSettings(page: string = document.baseURI): Promise<Settings> {
  const answer = await fetch(new URL('oriel.json', page), { signal: AbortSignal.timeout(timeoutMs) })
  if (!answer.ok) throw new TypeError(`oriel.json answers ${answer.status}`)
  return settingsOf(await answer.json(), page)
}

/** Reads the JSON of `oriel.json`; an unknown console type is left out. */
export function settingsOf(json: unknown, page: string): Settings {
  const { api_url: apiUrl, consoles = ['novnc'] } = json as { api_url?: unknown; consoles?: unknown }
  return {
    apiUrl: typeof apiUrl === 'string' ? new URL(apiUrl, page).href.replace(/\/+$/, '') : null,
    consoles: openableConsoleTypes.filter((type) => Array.isArray(consoles) && consoles.includes(type)),
  }
}
