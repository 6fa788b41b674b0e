/** The dependencies of the operations on sessions. */
import type { ConsoleDeps } from '../consoles/open.ts'
import type { SessionsConfig } from './config.ts'
import type { InvitationStore } from './invitation-store.ts'
import type { PortStore } from './port-store.ts'
import type { SessionStore } from './store.ts'

export interface SessionDeps extends ConsoleDeps {
  readonly config: ConsoleDeps['config'] & { readonly sessions: SessionsConfig }
  readonly sessions: SessionStore
  readonly invitations: InvitationStore
  readonly ports: PortStore
}
