/** The console drivers, one for each protocol: which types it opens and what Nova calls it. */
import { type ConsoleType, type OpenableConsoleType, openableConsoleTypes, opens, type Protocol } from '@oriel/contract'
import { HttpFault } from '../http/faults.ts'
import type { ConsolesConfig } from './config.ts'

interface Driver {
  /** Nova's name of the compute call, as it stands in faults. */
  readonly operation: string
  readonly types: readonly OpenableConsoleType[]
}

const typesOf = (protocol: Protocol) => openableConsoleTypes.filter((type) => opens(protocol, type))

export const drivers = {
  vnc: { operation: 'get_vnc_console', types: typesOf('vnc') },
  spice: { operation: 'get_spice_console', types: typesOf('spice') },
  serial: { operation: 'get_serial_console', types: typesOf('serial') },
  mks: { operation: 'get_mks_console', types: typesOf('mks') },
  /** No type of it can be opened, so it is never available. */
  rdp: { operation: 'get_rdp_console', types: typesOf('rdp') },
} as const satisfies Record<Protocol, Driver>

/** Switched off, or not offered by this server. `what` is a type or a protocol: Nova says either. */
export const unavailable = (what: string) => new HttpFault(400, `Unavailable console type ${what}.`)
const invalid = (type: string) => new HttpFault(400, `Invalid console type ${type}`)

/** @throws HttpFault 400 for a protocol of which no type can be opened, in any configuration. */
export function refuseGone(protocol: Protocol): void {
  if (drivers[protocol].types.length === 0) throw unavailable(protocol)
}

/**
 * The type, if it can be opened: the protocol is switched on, the type belongs to it, and is switched on itself.
 * @throws HttpFault 400, in this order.
 */
export function openable(protocol: Protocol, type: ConsoleType, consoles: ConsolesConfig): OpenableConsoleType {
  if (!drivers[protocol].types.some((each) => consoles[each].enabled)) throw unavailable(type)
  if (!opens(protocol, type)) throw invalid(type)
  if (!consoles[type].enabled) throw unavailable(type)
  return type
}
