/** The console drivers, one for each protocol: its types, and its name in Nova. */
import { type ConsoleType, type OpenableConsoleType, openableConsoleTypes, opens, type Protocol } from '@oriel/contract'
import { HttpFault } from '../http/faults.ts'
import type { ConsolesConfig } from './config.ts'

interface Driver {
  /** Nova's name of the compute call, for faults. */
  readonly operation: string
  readonly types: readonly OpenableConsoleType[]
}

const typesOf = (protocol: Protocol) => openableConsoleTypes.filter((type) => opens(protocol, type))

export const drivers = {
  vnc: { operation: 'get_vnc_console', types: typesOf('vnc') },
  spice: { operation: 'get_spice_console', types: typesOf('spice') },
  serial: { operation: 'get_serial_console', types: typesOf('serial') },
  mks: { operation: 'get_mks_console', types: typesOf('mks') },
  /** Removed: none of its types can be opened. */
  rdp: { operation: 'get_rdp_console', types: typesOf('rdp') },
} as const satisfies Record<Protocol, Driver>

/** The fault for a console that is disabled, or that the server lacks. `what` is a type or a protocol, as in Nova. */
export const unavailable = (what: string) => new HttpFault(400, `Unavailable console type ${what}.`)
const invalid = (type: string) => new HttpFault(400, `Invalid console type ${type}`)

/** @throws HttpFault 400 for a protocol that no configuration can enable */
export function refuseGone(protocol: Protocol): void {
  if (drivers[protocol].types.length === 0) throw unavailable(protocol)
}

/**
 * Returns the type if the protocol is enabled, the type belongs to it, and the type is enabled.
 * @throws HttpFault 400, in this order.
 */
export function openable(protocol: Protocol, type: ConsoleType, consoles: ConsolesConfig): OpenableConsoleType {
  if (!drivers[protocol].types.some((each) => consoles[each].enabled)) throw unavailable(type)
  if (!opens(protocol, type)) throw invalid(type)
  if (!consoles[type].enabled) throw unavailable(type)
  return type
}
