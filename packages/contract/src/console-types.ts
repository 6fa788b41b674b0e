/**
 * The table of console types. A row says what the API, the proxy and the pages must know of a type, so that none of them
 * names a type to learn it. The microversion that brought a type is in `microversions.ts`.
 */

/** Where an access URL carries the console auth token: as `?token=`, or inside the `path` query parameter that noVNC dials. */
export type TokenPlace = 'token' | 'path'

interface Row {
  readonly protocol: string
  readonly tokenIn: TokenPlace
}

/** A console type that can be opened. */
interface OpenableRow extends Row {
  /** Name of the type on buttons. */
  readonly label: string
  /** File name of the console page that opens it in a browser; `null` if a native viewer opens it. */
  readonly page: string | null
  /** Whether its connect info has a `tls_port`. Its server then listens on `port`, on `tls_port` or on both. */
  readonly hasTlsPort: boolean
}

/** A console type whose service is gone. Every request for it answers 400, at any microversion. */
interface RefusedRow extends Row {
  /** The reason, for people who ask for it. */
  readonly refused: string
}

export const consoleTypes = {
  novnc: { protocol: 'vnc', tokenIn: 'path', label: 'Screen', page: 'vnc.html', hasTlsPort: false },
  /** @deprecated The XVP service behind it is gone; every request answers 400. Ask for `novnc`. */
  xvpvnc: { protocol: 'vnc', tokenIn: 'token', refused: 'The XVP VNC proxy was removed from Nova. Use novnc.' },
  'spice-html5': { protocol: 'spice', tokenIn: 'token', label: 'SPICE', page: 'spice_auto.html', hasTlsPort: false },
  'spice-direct': { protocol: 'spice', tokenIn: 'token', label: 'SPICE viewer', page: null, hasTlsPort: true },
  serial: { protocol: 'serial', tokenIn: 'token', label: 'Serial', page: 'serial.html', hasTlsPort: false },
  /** @deprecated Nova has no hypervisor with RDP any more; every request answers 400. */
  'rdp-html5': {
    protocol: 'rdp',
    tokenIn: 'token',
    refused: 'The Hyper-V driver was removed from Nova, and RDP with it.',
  },
  webmks: { protocol: 'mks', tokenIn: 'token', label: 'WebMKS', page: 'webmks.html', hasTlsPort: false },
} as const satisfies Record<string, OpenableRow | RefusedRow>

/** A console type by its wire name, such as `novnc`. */
export type ConsoleType = keyof typeof consoleTypes
/** A protocol by its wire name, such as `vnc`. */
export type Protocol = (typeof consoleTypes)[ConsoleType]['protocol']
/** The console types that can be opened: all but those accepted only to be refused. */
export type OpenableConsoleType = {
  [T in ConsoleType]: (typeof consoleTypes)[T] extends RefusedRow ? never : T
}[ConsoleType]
/** The protocols that have a type which can be opened. */
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
