/** The dependencies of the operations on sessions. */
import type { ConsoleAuthTokenStore } from '../console-auth-tokens/store.ts'
import type { ConsolesConfig } from '../consoles/config.ts'
import type { Policy } from '../policy/rules.ts'
import type { Source } from '../sources/source.ts'
import type { SessionsConfig } from './config.ts'
import type { SessionStore } from './store.ts'

export interface SessionDeps {
  readonly config: { readonly policy: Policy; readonly sessions: SessionsConfig; readonly consoles: ConsolesConfig }
  readonly source: Source
  readonly tokens: ConsoleAuthTokenStore
  readonly sessions: SessionStore
}
