/** The dependencies of the operations on serial ports. */
import type { SessionDeps } from '../sessions/deps.ts'
import type { LogAsks } from './log-asks.ts'
import type { SerialPortStore } from './store.ts'

export interface SerialPortDeps extends SessionDeps {
  readonly serialPorts: SerialPortStore
  readonly logAsks: LogAsks
  /** Whether the API is about to stop. Default: never. */
  readonly draining?: () => boolean
  /** How often to look for what other replicas have changed, in milliseconds. Default: 1000. */
  readonly replicaPollMs?: number
  /** How long a proxy may take to report the output of a serial port, in milliseconds. Default: 3000. */
  readonly serialLogMs?: number
}
