/** The dependencies of the operations on serial ports. */
import type { SessionDeps } from '../sessions/deps.ts'
import type { News } from '../sessions/news.ts'
import type { SerialPortStore } from './store.ts'

export interface SerialPortDeps extends SessionDeps {
  readonly serialPorts: SerialPortStore
  /** Questions for the output of a serial port. */
  readonly logAsks: News
  /** How long a proxy may take to report the output of a serial port, in milliseconds. Default: 3000. */
  readonly serialLogMs?: number
}
