/** Maps the errors of a source's driver to faults, in one table by the kind of request (Nova rule 10). */
import type { Protocol } from '@oriel/contract'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { HttpFault } from '../http/faults.ts'
import { instanceNotFound } from '../servers/look-up.ts'
import { SourceError, type SourceErrorCode } from '../sources/errors.ts'
import type { Server } from '../sources/server.ts'
import { unavailable } from './drivers.ts'

/** The request that asked for a console. The older ones know fewer faults. */
export type ActionVariant = 'remote-consoles' | 'action' | 'serial-action' | 'output'

/** The request during which a driver failed. */
export interface Attempt {
  readonly variant: ActionVariant
  readonly server: Server
  readonly protocol?: Protocol
}

export const notReady = (id: string) => new HttpFault(409, `Instance ${id} is not ready`)

type Outcome = ContentfulStatusCode | 'not ready while building'
const statuses = {
  InstanceNotFound: {
    'remote-consoles': 'not ready while building',
    action: 'not ready while building',
    'serial-action': 'not ready while building',
    output: 404,
  },
  NotImplemented: { 'remote-consoles': 501, action: 501, 'serial-action': 501, output: 501 },
  ConsoleTypeUnavailable: { 'remote-consoles': 400, action: 400, 'serial-action': 400, output: 500 },
  ConsoleNotAvailable: { 'remote-consoles': 500, action: 500, 'serial-action': 500, output: 404 },
  SocketPortRangeExhausted: { 'remote-consoles': 400, action: 500, 'serial-action': 400, output: 500 },
  SerialPortNumberInvalid: { 'remote-consoles': 400, action: 500, 'serial-action': 400, output: 500 },
  SerialPortNumberExceeds: { 'remote-consoles': 400, action: 500, 'serial-action': 400, output: 500 },
} as const satisfies Record<SourceErrorCode, Record<ActionVariant, Outcome>>

const faults = {
  InstanceNotFound: ({ server }) => instanceNotFound(server.id),
  NotImplemented: () => new HttpFault(501, 'The requested functionality is not supported.'),
  ConsoleTypeUnavailable: ({ protocol }) => unavailable(protocol ?? ''),
  ConsoleNotAvailable: () => new HttpFault(404, 'Guest does not have a console available.'),
  SocketPortRangeExhausted: (_, { message }) => new HttpFault(400, message),
  SerialPortNumberInvalid: (_, { message }) => new HttpFault(400, message),
  SerialPortNumberExceeds: (_, { message }) => new HttpFault(400, message),
} as const satisfies Record<SourceErrorCode, (attempt: Attempt, error: SourceError) => HttpFault>

/**
 * Returns the error to throw instead of `error`: its fault, or for an unknown error the error itself, which becomes a 500.
 */
export function driverFault(error: unknown, attempt: Attempt): unknown {
  if (!(error instanceof SourceError)) return error
  const status: Outcome = statuses[error.code][attempt.variant]
  if (status === 500) return error
  if (status === 'not ready while building' && attempt.server.vmState === 'building') return notReady(attempt.server.id)
  return faults[error.code](attempt, error)
}
