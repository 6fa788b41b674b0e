/**
 * What recordings are replayed against: an API that listens, in a world that can be changed where a recording asks for it.
 */
import type { ConsoleGrant } from '@oriel/api'

export interface Subject extends AsyncDisposable {
  /** Where it listens, as host:port. */
  readonly address: string
  /** Only for an API inside this process. */
  readonly controls?: Controls
}

export interface Controls {
  /** Puts a token into the store as it is. */
  authorize(grant: ConsoleGrant): Promise<string>
  /** A separate server for one recording, so that its changes do not affect others. */
  privateServer(): { readonly id: string; delete(): void; stop(): void }
  /** While set, every driver call throws it. */
  driverFails(error: Error | undefined): void
  /** While true, the store finds nothing and says so. */
  storeFails(fails: boolean): void
}
