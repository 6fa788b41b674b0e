/**
 * The one table of console types: which protocol each speaks, which legacy action made it, how its access URL carries
 * the token, and which are accepted only to be refused. Which microversion brought a type stands in `microversions.ts`.
 */

/** How an access URL carries the console auth token: as `?token=`, or inside the `path` query parameter that noVNC dials. */
export type TokenPlace = 'token' | 'path'

interface Row {
  readonly protocol: string
  readonly tokenIn: TokenPlace
  /** Set for a type whose service is gone: every request for it answers 400, at any microversion. */
  readonly refused?: string
}

export const consoleTypes = {
  novnc: { protocol: 'vnc', tokenIn: 'path' },
  /** @deprecated The XVP service behind it is gone; every request answers 400. Ask for `novnc`. */
  xvpvnc: { protocol: 'vnc', tokenIn: 'token', refused: 'The XVP VNC proxy was removed from Nova. Use novnc.' },
  'spice-html5': { protocol: 'spice', tokenIn: 'token' },
  'spice-direct': { protocol: 'spice', tokenIn: 'token' },
  serial: { protocol: 'serial', tokenIn: 'token' },
  /** @deprecated Nova has no hypervisor with RDP any more; every request answers 400. */
  'rdp-html5': {
    protocol: 'rdp',
    tokenIn: 'token',
    refused: 'The Hyper-V driver was removed from Nova, and RDP with it.',
  },
  webmks: { protocol: 'mks', tokenIn: 'token' },
} as const satisfies Record<string, Row>

/** A console type by its wire name, such as `novnc`. */
export type ConsoleType = keyof typeof consoleTypes
/** A protocol by its wire name, such as `vnc`. */
export type Protocol = (typeof consoleTypes)[ConsoleType]['protocol']
/** The console types that can be opened: all but those accepted only to be refused. */
export type OpenableConsoleType = {
  [T in ConsoleType]: (typeof consoleTypes)[T] extends { refused: string } ? never : T
}[ConsoleType]
/** The protocols that have a type which can be opened. */
export type OpenableProtocol = (typeof consoleTypes)[OpenableConsoleType]['protocol']

/** Whether `type` is a console type's wire name. */
export const isConsoleType = (type: string): type is ConsoleType => Object.hasOwn(consoleTypes, type)

/** Whether `type` belongs to `protocol` and can be opened. */
export function opens(protocol: string, type: string): type is OpenableConsoleType {
  if (!isConsoleType(type)) return false
  const row: Row = consoleTypes[type]
  return row.protocol === protocol && row.refused === undefined
}

/** The console types that can be opened, in the order of the table. */
export const openableConsoleTypes = Object.entries(consoleTypes as Record<string, Row>)
  .filter(([, row]) => row.refused === undefined)
  .map(([type]) => type) as OpenableConsoleType[]
