/** What the operations on sessions need. */
import type { ApiSettings } from '../config.ts'
import type { ConsoleAuthTokenStore } from '../console-auth-tokens/store.ts'
import type { Source } from '../sources/source.ts'
import type { SessionStore } from './store.ts'

export interface SessionDeps {
  readonly config: ApiSettings
  readonly source: Source
  readonly tokens: ConsoleAuthTokenStore
  readonly sessions: SessionStore
}
