/** Queries QEMU, and validates and interprets the replies. */
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import { type Consoles, dialableHost, dialablePort, shownName, socketHost } from '../guests/guest.ts'
import type { Reach } from '../guests/reach.ts'
import type { ConsoleAddress } from '../source.ts'
import type { QmpConnection } from './qmp.ts'
import { QmpRefusal } from './qmp.ts'
import { type RunState, runState } from './run-states.ts'

/** The properties of a guest that do not change while its process runs. */
export interface Identity {
  /** A UUID in lower case. */
  readonly id: string
  readonly name: string
  /** Labels of the chardevs behind serial devices, the first serial port first. */
  readonly serialLabels: readonly string[]
}

/** The state of a guest that may change. */
export interface Condition {
  readonly state: RunState
  /** QEMU's own name of the state, which tells more than `state` if that is unknown. */
  readonly stateName: string
  readonly consoles: Consoles
  /** Existing consoles that the proxy cannot or must not dial, and why. */
  readonly unreachable: Readonly<Record<string, string>>
}

/** QEMU's UUID if its command line has none. */
const NO_UUID = '00000000-0000-0000-0000-000000000000'

/** @throws Error when QEMU has no UUID, or sends a malformed reply */
export async function queryIdentity(qmp: QmpConnection, serialLabel: string | undefined): Promise<Identity> {
  const uuid = parseReply.uuid(await qmp.execute('query-uuid')).UUID.toLowerCase()
  if (uuid === NO_UUID) throw new Error('the guest has no UUID: start QEMU with -uuid')
  const { name } = parseReply.name(await qmp.execute('query-name'))
  const serialLabels = serialLabel === undefined ? await querySerialLabels(qmp) : [serialLabel]
  return { id: uuid, name: shownName(name, uuid), serialLabels }
}

export async function queryCondition(qmp: QmpConnection, identity: Identity, reach: Reach): Promise<Condition> {
  const { status } = parseReply.status(await qmp.execute('query-status'))
  const listening = [
    ['vnc', vncListening(parseReply.vnc(await ifBuiltIn(qmp, 'query-vnc')))],
    ['spice', spiceListening(parseReply.spice(await ifBuiltIn(qmp, 'query-spice')))],
    ['serial', serialListening(parseReply.chardevs(await qmp.execute('query-chardev')), identity.serialLabels)],
  ] as const
  const found = listening.map(([protocol, all]) => ({ protocol, ...firstReachable(all, reach) }))
  return {
    state: runState(status),
    stateName: status,
    consoles: Object.fromEntries(found.flatMap(({ protocol, address }) => (address ? [[protocol, address]] : []))),
    unreachable: Object.fromEntries(found.flatMap(({ protocol, why }) => (why === undefined ? [] : [[protocol, why]]))),
  }
}

/** An address at which QEMU says that it listens. */
type Listening = PortListening | { readonly socket: string }
interface PortListening {
  readonly listen: string
  readonly port: number | undefined
  readonly tlsPort?: number | undefined
}

/** The address of a console, or the reason why the proxy cannot or must not dial it. Neither if it does not exist. */
interface Outcome {
  readonly address?: ConsoleAddress
  readonly why?: string
}

function firstReachable(listening: readonly Listening[], reach: Reach): Outcome {
  const outcomes = listening.map((each) => ('socket' in each ? socketOutcome(each, reach) : portOutcome(each, reach)))
  return outcomes.find(({ address }) => address) ?? outcomes[0] ?? {}
}

function socketOutcome({ socket }: { readonly socket: string }, reach: Reach): Outcome {
  const host = socketHost(socket)
  return host === undefined ? undialable(socket) : allowed({ host, port: null }, reach)
}

function portOutcome({ listen, port, tlsPort }: PortListening, reach: Reach): Outcome {
  const host = dialableHost(listen, reach.host)
  if (host === undefined || (port === undefined && tlsPort === undefined)) {
    return undialable(listen)
  }
  return allowed({ host, port: port ?? null, ...(tlsPort !== undefined && { tlsPort }) }, reach)
}

const undialable = (listen: string): Outcome => ({
  why: `it listens on ${JSON.stringify(listen.slice(0, MAX_SHOWN_CHARACTERS))}, which no proxy can dial`,
})

function allowed(address: ConsoleAddress, reach: Reach): Outcome {
  const why = reach.objection(address)
  return why === undefined ? { address } : { why }
}

/** The length at which an address is cut in a log message. */
const MAX_SHOWN_CHARACTERS = 256

function vncListening({ enabled, family, host, service }: Reply<'vnc'>): readonly Listening[] {
  if (!enabled || service === undefined) return []
  if (family === 'unix') return [{ socket: service }]
  return [{ listen: host ?? '', port: dialablePort(service) }]
}

/** QEMU reports the path of a Unix socket as a host without a port. */
function spiceListening({ enabled, host = '', port, 'tls-port': tlsPort }: Reply<'spice'>): readonly Listening[] {
  if (!enabled) return []
  if (host.startsWith('/')) return [{ socket: host }]
  return [{ listen: host, port: dialablePort(port), tlsPort: dialablePort(tlsPort) }]
}

function serialListening(chardevs: Reply<'chardevs'>, labels: readonly string[]): readonly Listening[] {
  const all = labels.flatMap((label) => chardevs.filter((chardev) => chardev.label === label).slice(0, 1))
  return all.flatMap(({ filename }) => chardevListening(filename))
}

/**
 * Match the `filename` that `query-chardev` reports for a server on TCP or a Unix socket (QEMU's `chardev/char-socket.c`).
 * They exclude telnet and WebSocket servers, which add bytes of their own protocol.
 */
const TCP_SERVER = /^(?:disconnected:)?tcp:(?<host>[^,]*):(?<port>\d+),server(?:=on)?(?: <-> .*)?$/
const UNIX_SERVER = /^(?:disconnected:)?unix:(?<socket>.*),server(?:=on)?(?: <-> .*)?$/

function chardevListening(filename: string): readonly Listening[] {
  const { socket } = UNIX_SERVER.exec(filename)?.groups ?? {}
  if (socket !== undefined) return [{ socket }]
  const { host, port } = TCP_SERVER.exec(filename)?.groups ?? {}
  return host === undefined || dialablePort(port) === undefined ? [] : [{ listen: host, port: dialablePort(port) }]
}

/**
 * Only a chardev behind a serial device is a serial console: others are monitors, debuggers and agents, through
 * which a client could control the hypervisor. So the labels come from the devices, not from the names of chardevs.
 */
async function querySerialLabels(qmp: QmpConnection): Promise<readonly string[]> {
  const devices: { path: string; order: number; name: string; kind: string }[] = []
  for (const folder of DEVICE_FOLDERS) {
    const children = parseReply.children(await qmp.execute('qom-list', { path: folder }))
    for (const { name, type } of children) {
      const kind = /^child<(.*)>$/.exec(type)?.[1] ?? ''
      const order = SERIAL_DEVICES.indexOf(kind)
      if (order >= 0) devices.push({ path: `${folder}/${name}`, order, name, kind })
    }
  }
  devices.sort((a, b) => a.order - b.order || a.name.localeCompare(b.name, 'en', { numeric: true }))
  const labels: string[] = []
  for (const { path, kind } of devices.slice(0, MAX_SERIAL_DEVICES)) {
    for (const property of CHARDEV_PROPERTIES[kind] ?? ['chardev']) labels.push(await queryChardev(qmp, path, property))
  }
  return labels.filter((label) => label !== '')
}

async function queryChardev(qmp: QmpConnection, path: string, property: string): Promise<string> {
  try {
    return parseReply.label(await qmp.execute('qom-get', { path, property }))
  } catch (error) {
    // In another version of QEMU a device may lack the property; keep the other devices.
    if (error instanceof QmpRefusal) return ''
    throw error
  }
}

const DEVICE_FOLDERS = ['/machine/unattached', '/machine/peripheral', '/machine/peripheral-anon']
const MAX_SERIAL_DEVICES = 16
/** Serial devices of QEMU's machines, the preferred first: those that firmware uses, up to virtio consoles. */
const SERIAL_DEVICES = [
  'isa-serial',
  'serial-mm',
  'pl011',
  'pl011_luminary',
  'spapr-vty',
  'sclpconsole',
  'sclplmconsole',
  'cadence_uart',
  'imx.serial',
  'stm32f2xx-usart',
  'exynos4210.uart',
  'riscv.sifive.uart',
  'xlnx.xps-uartlite',
  'pci-serial',
  'pci-serial-2x',
  'pci-serial-4x',
  'usb-serial',
  'virtconsole',
]

/** Multi-port cards have one property for each port; all other devices have `chardev`. */
const CHARDEV_PROPERTIES: Readonly<Record<string, readonly string[]>> = {
  'pci-serial-2x': ['chardev1', 'chardev2'],
  'pci-serial-4x': ['chardev1', 'chardev2', 'chardev3', 'chardev4'],
}

/** Runs a query that a QEMU built without VNC or SPICE lacks. Returns `{ enabled: false }` then, as if it were switched off. */
async function ifBuiltIn(qmp: QmpConnection, command: string): Promise<unknown> {
  try {
    return await qmp.execute(command)
  } catch (error) {
    if (error instanceof QmpRefusal && error.kind === 'CommandNotFound') return { enabled: false }
    throw error
  }
}

const text = Type.String({ maxLength: 4096 })
const schemas = {
  uuid: Type.Object({
    UUID: Type.String({ pattern: '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$' }),
  }),
  name: Type.Object({ name: Type.Optional(Type.String()) }),
  status: Type.Object({ status: Type.String({ maxLength: 64 }) }),
  vnc: Type.Object({
    enabled: Type.Boolean(),
    family: Type.Optional(text),
    host: Type.Optional(text),
    service: Type.Optional(text),
  }),
  spice: Type.Object({
    enabled: Type.Boolean(),
    host: Type.Optional(text),
    port: Type.Optional(Type.Integer()),
    'tls-port': Type.Optional(Type.Integer()),
  }),
  chardevs: Type.Array(Type.Object({ label: text, filename: text })),
  children: Type.Array(Type.Object({ name: text, type: text })),
  label: text,
} as const
type Replies = { [Name in keyof typeof schemas]: Type.Static<(typeof schemas)[Name]> }
type Reply<Name extends keyof Replies> = Replies[Name]

const parseReply = Object.fromEntries(
  Object.entries(schemas).map(([name, schema]) => [name, checker(name, schema)]),
) as unknown as { [Name in keyof Replies]: (value: unknown) => Replies[Name] }

function checker(name: string, schema: Type.TSchema) {
  const validator = Compile(schema)
  return (value: unknown) => {
    if (validator.Check(value)) return value
    throw new Error(`QEMU's reply to ${name} is malformed`)
  }
}
