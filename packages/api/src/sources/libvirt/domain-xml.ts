/** Reads the addresses of a domain's consoles from its XML (https://libvirt.org/formatdomain.html). */

import { Secret } from '@oriel/runtime'
import { XMLParser } from 'fast-xml-parser'
import { type Consoles, dialableHost, dialablePort, socketHost } from '../guests/guest.ts'
import type { Reach } from '../guests/reach.ts'
import type { ConsoleAddress } from '../source.ts'

export interface DomainXml {
  /** In lower case. */
  readonly uuid: string
  /** Whether the domain has an id, as only running domains do. */
  readonly running: boolean
  readonly consoles: Consoles
  /** Existing consoles that the proxy cannot or must not dial, and why. */
  readonly unreachable: Readonly<Record<string, string>>
  /** The password of the VNC console, if the XML contains one. */
  readonly vncPassword?: Secret
}

/** libvirt's documents are shorter. */
export const MAX_XML_CHARACTERS = 1024 * 1024

/**
 * Reads a domain's XML.
 * @throws Error for XML that describes no domain, is too long, or has a document type: libvirt writes none, and it can
 * declare entities. Within a comment or CDATA, such as in metadata, the same text is harmless.
 */
export function readDomainXml(xml: string, reach: Reach): DomainXml {
  if (xml.length > MAX_XML_CHARACTERS) throw new Error('the domain XML is too long')
  if (/<!(DOCTYPE|ENTITY)/i.test(xml.replace(CHARACTER_DATA, ''))) throw new Error('the domain XML has a document type')
  const domain = first(record(parsed(xml)).domain)
  const uuid = textOf(first(domain.uuid)).toLowerCase()
  if (uuid === '') throw new Error('the domain XML names no domain')
  const devices = first(domain.devices)
  const vnc = graphics(devices, 'vnc', reach)
  const found = [
    ['vnc', vnc],
    ['spice', graphics(devices, 'spice', reach)],
    ['serial', serial(devices, reach)],
  ] as const
  return {
    uuid,
    running: attribute(domain, 'id') !== '',
    consoles: Object.fromEntries(found.flatMap(([protocol, { address }]) => (address ? [[protocol, address]] : []))),
    unreachable: Object.fromEntries(
      found.flatMap(([protocol, { address, why }]) => (address || why === undefined ? [] : [[protocol, why]])),
    ),
    ...(vnc.password && { vncPassword: vnc.password }),
  }
}

/** Drops the parser's error: the XML may contain passwords, and the error a part of the XML. */
function parsed(xml: string): unknown {
  try {
    return parser.parse(xml)
  } catch {
    throw new Error('the domain XML is malformed')
  }
}

/** Comments and CDATA. An unclosed one reaches to the end, so that matching takes linear time. */
const CHARACTER_DATA = /<!--[\s\S]*?(?:-->|$)|<!\[CDATA\[[\s\S]*?(?:\]\]>|$)/g

/** The address of a console, or the reason why it has none. Neither if the device does not exist. */
interface Outcome {
  readonly address?: ConsoleAddress
  readonly why?: string
  readonly password?: Secret
}

/** Returns the first device that can be dialled. */
const firstReachable = (outcomes: readonly Outcome[]): Outcome =>
  outcomes.find(({ address }) => address) ?? outcomes[0] ?? {}

function graphics(devices: Node, type: 'vnc' | 'spice', reach: Reach): Outcome {
  const ofType = all(devices.graphics).filter((device) => attribute(device, 'type') === type)
  return firstReachable(ofType.map((device) => ({ ...graphicsAddress(device, type, reach), ...passwordOf(device) })))
}

function passwordOf(device: Node): Pick<Outcome, 'password'> {
  const password = attribute(device, 'passwd')
  return password === '' ? {} : { password: new Secret(password) }
}

function graphicsAddress(device: Node, type: 'vnc' | 'spice', reach: Reach): Outcome {
  const listens = all(device.listen)
  const sockets = listens.filter((listen) => attribute(listen, 'socket') !== '')
  const others = listens.filter((listen) => !sockets.includes(listen))
  const atPort = listens.length > 0 && others.length === 0 ? [] : [portAddress(device, others, type, reach)]
  return firstReachable([...atPort, ...sockets.map((listen) => socketAddress(attribute(listen, 'socket'), reach))])
}

function portAddress(device: Node, listens: readonly Node[], type: 'vnc' | 'spice', reach: Reach): Outcome {
  const port = dialablePort(attribute(device, 'port'))
  const tlsPort = type === 'spice' ? dialablePort(attribute(device, 'tlsPort')) : undefined
  const outcomes = (listens.length > 0 ? listens : [device]).map((listen) => listenHost(listen, device, reach.host))
  const dialable = outcomes.find((outcome) => outcome.host !== undefined)
  if (dialable?.host === undefined) return { why: outcomes[0]?.why ?? 'it listens nowhere' }
  if (port === undefined && tlsPort === undefined) return { why: 'it has no port' }
  return allowed({ host: dialable.host, port: port ?? null, ...(tlsPort !== undefined && { tlsPort }) }, reach)
}

function socketAddress(path: string, reach: Reach): Outcome {
  const host = socketHost(path)
  return host === undefined ? { why: `it listens on ${path.slice(0, 256)}` } : allowed({ host, port: null }, reach)
}

/** Returns the listen address of a `<listen>` element, or of the graphics element itself, as before libvirt 0.9.4. */
function listenHost(listen: Node, device: Node, host: string): { readonly host?: string; readonly why?: string } {
  const type = listen === device ? 'address' : attribute(listen, 'type')
  if (type !== 'address' && type !== 'network')
    return { why: `it listens on a ${type === 'socket' ? 'Unix socket' : type}` }
  const address = attribute(listen, 'address') || attribute(device, 'listen')
  if (type === 'network' && address === '') return { why: `libvirt does not say which address of its network` }
  const dialable = dialableHost(address || LIBVIRT_DEFAULT_LISTEN, host)
  return dialable === undefined ? { why: `it listens on ${address.slice(0, 256)}` } : { host: dialable }
}

/** libvirt's default if the domain has no listen address, unless qemu.conf sets another one. */
const LIBVIRT_DEFAULT_LISTEN = '127.0.0.1'

/** Takes serial ports before consoles: the first console element only repeats the first serial port. */
function serial(devices: Node, reach: Reach): Outcome {
  const ports = [...all(devices.serial), ...all(devices.console)]
  return firstReachable(ports.flatMap((device) => serialAddress(device, reach) ?? []))
}

function serialAddress(device: Node, reach: Reach): Outcome | undefined {
  const type = attribute(device, 'type')
  if (type !== 'tcp' && type !== 'unix') return undefined
  const source = all(device.source).find((each) => attribute(each, 'mode') === 'bind')
  if (!source) return { why: 'it connects out instead of listening' }
  return type === 'unix' ? socketAddress(attribute(source, 'path'), reach) : tcpAddress(device, source, reach)
}

function tcpAddress(device: Node, source: Node, reach: Reach): Outcome {
  const protocol = attribute(first(device.protocol), 'type') || 'raw'
  if (protocol !== 'raw') return { why: `it speaks ${protocol}` }
  if (attribute(source, 'tls') === 'yes') return { why: 'it speaks TLS' }
  const port = dialablePort(attribute(source, 'service'))
  const dialable = dialableHost(attribute(source, 'host'), reach.host)
  if (port === undefined || dialable === undefined) return { why: 'it has no address' }
  return allowed({ host: dialable, port }, reach)
}

function allowed(address: ConsoleAddress, reach: Reach): Outcome {
  const why = reach.objection(address)
  return why === undefined ? { address } : { why }
}

type Node = Readonly<Record<string, unknown>>

const ATTRIBUTE = '@'
/** Numbers stay text: a name may be 007. Metadata is skipped: it is not needed, and any program may write to it. */
const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: ATTRIBUTE,
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  ignoreDeclaration: true,
  stopNodes: ['domain.metadata', 'domain.description'],
})

const record = (value: unknown): Node => (typeof value === 'object' && value !== null ? (value as Node) : {})
/** Returns the elements of one name as a list: the parser returns a single element without one. */
const all = (value: unknown): readonly Node[] =>
  (value === undefined ? [] : Array.isArray(value) ? value : [value]).map((each) =>
    typeof each === 'string' ? { '#text': each } : record(each),
  )
const first = (value: unknown): Node => all(value)[0] ?? {}
const attribute = (node: Node, name: string): string => text(node[ATTRIBUTE + name]).replace(REFERENCE, characterOf)
const textOf = (node: Node): string => text(node['#text'])
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** The references that XML predefines (section 4.6), which libvirt writes into attributes. No document type defines others. */
const REFERENCE = /&(lt|gt|amp|quot|apos);/g
const characters: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }
const characterOf = (reference: string, name: string) => characters[name] ?? reference
