/**
 * The table of console types. A row has all properties of a type that the API, the proxy and the pages depend on, so that
 * they need not compare names of types. The microversion that introduced a type is in `microversions.ts`.
 */

/** Where an access URL carries its token: in the query parameter `token`, or inside `path`, the path of the WebSocket that
 * noVNC connects to (`path=?token=…`). */
export type TokenPlace = 'token' | 'path'

interface Row {
  readonly protocol: string
  readonly tokenIn: TokenPlace
}

/** A console type that can be opened. */
interface OpenableRow extends Row {
  /** The type's name on buttons. */
  readonly label: string
  /** The file name of the console page that opens it in a browser. `null` for a type that needs a native viewer. */
  readonly page: string | null
  /** Whether its connect info has a `tls_port`. The console then listens on `port`, on `tls_port` or on both. */
  readonly hasTlsPort: boolean
  /** Whether its page opens several connections with one token, one for each channel. */
  readonly channelsShareToken: boolean
  /** Whether a proxy can withhold a viewer's input. Not for MKS, whose messages are not published. */
  readonly watchable: boolean
}

/** A console type that Nova no longer has. An otherwise valid request for it gets a 400, at every microversion. */
interface RefusedRow extends Row {
  /** Why the type cannot be opened; documentation only. */
  readonly refused: string
}

export const consoleTypes = {
  novnc: {
    protocol: 'vnc',
    tokenIn: 'path',
    label: 'Screen',
    page: 'vnc.html',
    hasTlsPort: false,
    channelsShareToken: false,
    watchable: true,
  },
  /** @deprecated The XVP service behind it was removed; every request gets a 400. Use `novnc`. */
  xvpvnc: { protocol: 'vnc', tokenIn: 'token', refused: 'The XVP VNC proxy was removed from Nova. Use novnc.' },
  'spice-html5': {
    protocol: 'spice',
    tokenIn: 'token',
    label: 'SPICE',
    page: 'spice_auto.html',
    hasTlsPort: false,
    channelsShareToken: true,
    watchable: true,
  },
  'spice-direct': {
    protocol: 'spice',
    tokenIn: 'token',
    label: 'SPICE viewer',
    page: null,
    hasTlsPort: true,
    channelsShareToken: false,
    watchable: true,
  },
  serial: {
    protocol: 'serial',
    tokenIn: 'token',
    label: 'Serial',
    page: 'serial.html',
    hasTlsPort: false,
    channelsShareToken: false,
    watchable: true,
  },
  /** @deprecated Nova no longer has a hypervisor with RDP; every request gets a 400. */
  'rdp-html5': {
    protocol: 'rdp',
    tokenIn: 'token',
    refused: 'The Hyper-V driver was removed from Nova, and RDP with it.',
  },
  webmks: {
    protocol: 'mks',
    tokenIn: 'token',
    label: 'WebMKS',
    page: 'webmks.html',
    hasTlsPort: false,
    channelsShareToken: false,
    watchable: false,
  },
} as const satisfies Record<string, OpenableRow | RefusedRow>

/** The wire name of a console type, such as `novnc`. */
export type ConsoleType = keyof typeof consoleTypes
/** The wire name of a protocol, such as `vnc`. */
export type Protocol = (typeof consoleTypes)[ConsoleType]['protocol']
/** The console types that can be opened. The API accepts the other ones only to refuse them. */
export type OpenableConsoleType = {
  [T in ConsoleType]: (typeof consoleTypes)[T] extends RefusedRow ? never : T
}[ConsoleType]
/** The protocols with a type that can be opened. */
export type OpenableProtocol = (typeof consoleTypes)[OpenableConsoleType]['protocol']

/** Whether `type` is a console type's wire name. */
export const isConsoleType = (type: string): type is ConsoleType => Object.hasOwn(consoleTypes, type)

/** Whether `type` can be opened. */
export const isOpenable = (type: string): type is OpenableConsoleType =>
  isConsoleType(type) && !('refused' in consoleTypes[type])

/** Whether `type` belongs to `protocol` and can be opened. */
export const opens = (protocol: string, type: string): type is OpenableConsoleType =>
  isOpenable(type) && consoleTypes[type].protocol === protocol

/** The console types that can be opened, in the order of the table. */
export const openableConsoleTypes: readonly OpenableConsoleType[] = Object.keys(consoleTypes).filter(isOpenable)
