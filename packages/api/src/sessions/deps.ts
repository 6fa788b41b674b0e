/** The dependencies of the operations on sessions. */
import type { ConsoleDeps } from '../consoles/open.ts'
import type { SessionsConfig } from './config.ts'
import type { ControlStore } from './control-store.ts'
import type { InvitationStore } from './invitation-store.ts'
import type { News } from './news.ts'
import type { PortStore } from './port-store.ts'
import type { SessionStore } from './store.ts'

export interface SessionDeps extends ConsoleDeps {
  readonly config: ConsoleDeps['config'] & { readonly sessions: SessionsConfig }
  readonly sessions: SessionStore
  readonly invitations: InvitationStore
  readonly ports: PortStore
  readonly control: ControlStore
  /** Changes of the people at a console, and of its control. */
  readonly consoleNews: News
  /** Whether the API is about to stop. Default: never. */
  readonly draining?: () => boolean
  /** How often to look for changes by other replicas, in milliseconds. Default: 1000. */
  readonly replicaPollMs?: number
}
