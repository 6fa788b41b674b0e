/** The consoles behind the proxies that are measured, and the parts that stand around them. */
import type { Part } from './fork.ts'

/** What the consoles do once a client is there; see `parts/hypervisor.ts`. */
export type Guest = 'silent' | 'echo' | 'stream' | 'offer' | 'hang'

export interface Lab extends AsyncDisposable {
  readonly authority: Part
  readonly hypervisor: Part
  /** For configurations and logs. */
  readonly folder: string
}
