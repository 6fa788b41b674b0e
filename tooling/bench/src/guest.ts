/** The parts around the measured proxies: consoles, authority, folder. */
import type { Part } from './fork.ts'

/** The behaviour of a console after a client has connected; see `parts/hypervisor.ts`. */
export type Guest = 'silent' | 'echo' | 'stream' | 'offer' | 'hang'

export interface Lab extends AsyncDisposable {
  readonly authority: Part
  readonly hypervisor: Part
  /** The folder for configurations and logs. */
  readonly folder: string
}
