/** Reads `oriel.json`, the settings that the proxy provides for its home page. */
import { type OpenableConsoleType, openableConsoleTypes } from '@oriel/contract'

export interface Settings {
  /** The API's URL without the version in its path; `null` if the proxy knows no API for the home page. */
  readonly apiUrl: string | null
  /** The console types that get a button, the most common first. */
  readonly consoles: readonly OpenableConsoleType[]
}

const timeoutMs = 10_000

/**
 * Fetches `oriel.json` from beside the page: `{ "api_url": string | null, "consoles"?: string[] }`. An `api_url` may be
 * relative to the page, and end with `/v2.1` as a compute endpoint does. Without `consoles`, `novnc` alone is offered.
 * @throws TypeError, TimeoutError or SyntaxError when the response is missing or unusable
 */
export async function readSettings(page: string = document.baseURI): Promise<Settings> {
  const response = await fetch(new URL('oriel.json', page), { signal: AbortSignal.timeout(timeoutMs) })
  if (!response.ok) throw new TypeError(`the request for oriel.json failed with status ${response.status}`)
  return settingsOf(await response.json(), page)
}

/** Parses the content of `oriel.json`. Ignores unknown console types. */
export function settingsOf(json: unknown, page: string): Settings {
  const { api_url: apiUrl, consoles = ['novnc'] } = json as { api_url?: unknown; consoles?: unknown }
  return {
    apiUrl: typeof apiUrl === 'string' ? new URL(apiUrl, page).href.replace(/(\/v2(\.1)?)?\/*$/, '') : null,
    consoles: openableConsoleTypes.filter((type) => Array.isArray(consoles) && consoles.includes(type)),
  }
}
