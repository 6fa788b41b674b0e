/**
 * The console types as data: one descriptor for each type that can be opened. Code that distinguishes types reads a property
 * here and never compares names, so that the compiler reports each property that a new type lacks.
 */
import type { OpenableConsoleType } from '@oriel/contract'

/**
 * How `hypervisor.identity` is enforced. `desktop-name` and `uuid` compare the name or UUID that the guest sends with the
 * instance. The others are for types whose guests do not identify themselves, so that only the protocol can reveal another
 * guest: `spice-alone` relays only SPICE, `no-identifying-protocol` relays everything except VNC and SPICE.
 */
export type GuestCheck = 'desktop-name' | 'uuid' | 'spice-alone' | 'no-identifying-protocol'

/** The option of nova.conf that contains the base URL of this proxy. */
export interface NovaOption {
  readonly group: string
  readonly name: string
  /** The page, below the listener's prefix if it serves several types. */
  readonly page: string
  /** The URL's scheme. Default: the listener's, `http` or `https`. */
  readonly scheme?: 'ws'
  /** The first microversion with the option. Default: every supported Nova has it. */
  readonly since?: string
}

export interface ConsoleKind {
  /** How clients connect: with a WebSocket, or to a separate port, which a console file contains. */
  readonly transport: 'websocket' | 'native'
  readonly guestCheck: GuestCheck
  /** How many viewers the console's server serves at the same time. */
  readonly viewers: 'one' | 'many'
  /** Whether a session ends as `moved` when its machine runs on another host, so that the page opens the console again there. */
  readonly followsMoves: boolean
  /** When a token counts as used under `sessions.single_use`: when its session opens, or when its console file is served. */
  readonly tokenUsedBy: 'session' | 'console-file'
  /**
   * Whether the connect info has the key `tls_port`, and one of the two ports may be absent. Nova does not return the
   * type of a token; this key distinguishes the tokens of such a type from all others.
   */
  readonly portOptional: boolean
  /**
   * The file of each page, by the page's path. A page has several paths because the defaults of deployment tools differ:
   * OpenStack-Helm's are `/vnc_auto.html` and `/serial_auto.html`, Kolla-Ansible's `/vnc_lite.html`.
   */
  readonly pages: Readonly<Record<string, string>>
  /** Nova's option (nova/conf/vnc.py, spice.py, serial_console.py, mks.py); `null` for a type that Nova does not have. */
  readonly nova: NovaOption | null
}

export const consoleKinds = {
  novnc: {
    transport: 'websocket',
    guestCheck: 'desktop-name',
    viewers: 'many',
    followsMoves: true,
    tokenUsedBy: 'session',
    portOptional: false,
    pages: { '/vnc_lite.html': 'vnc.html', '/vnc.html': 'vnc.html', '/vnc_auto.html': 'vnc.html' },
    nova: { group: 'vnc', name: 'novncproxy_base_url', page: 'vnc_lite.html' },
  },
  'spice-html5': {
    transport: 'websocket',
    guestCheck: 'spice-alone',
    viewers: 'one',
    followsMoves: false,
    tokenUsedBy: 'session',
    portOptional: false,
    pages: { '/spice_auto.html': 'spice_auto.html' },
    nova: { group: 'spice', name: 'html5proxy_base_url', page: 'spice_auto.html' },
  },
  serial: {
    transport: 'websocket',
    guestCheck: 'no-identifying-protocol',
    viewers: 'many',
    followsMoves: true,
    tokenUsedBy: 'session',
    portOptional: false,
    pages: { '/serial.html': 'serial.html', '/serial_auto.html': 'serial.html' },
    nova: { group: 'serial_console', name: 'base_url', page: '', scheme: 'ws' },
  },
  webmks: {
    transport: 'websocket',
    guestCheck: 'no-identifying-protocol',
    viewers: 'many',
    followsMoves: false,
    tokenUsedBy: 'session',
    portOptional: false,
    pages: { '/webmks.html': 'webmks.html' },
    nova: { group: 'mks', name: 'mksproxy_base_url', page: 'webmks.html' },
  },
  'spice-direct': {
    transport: 'native',
    guestCheck: 'uuid',
    viewers: 'one',
    followsMoves: false,
    tokenUsedBy: 'console-file',
    portOptional: true,
    pages: {},
    nova: { group: 'spice', name: 'spice_direct_proxy_base_url', page: 'nova', since: '2.99' },
  },
} as const satisfies Record<OpenableConsoleType, ConsoleKind>

/** A console type that this proxy serves. */
export type ServedConsoleType = keyof typeof consoleKinds

type TypesOf<K extends Partial<ConsoleKind>> = {
  [T in ServedConsoleType]: (typeof consoleKinds)[T] extends K ? T : never
}[ServedConsoleType]

/** A console type whose clients connect with a WebSocket. */
export type WebSocketConsoleType = TypesOf<{ readonly transport: 'websocket' }>
/** A console type whose clients connect to a separate port. */
export type NativeConsoleType = TypesOf<{ readonly transport: 'native' }>

export const servedConsoleTypes = Object.keys(consoleKinds) as ServedConsoleType[]

export const kindOf = (type: ServedConsoleType): ConsoleKind => consoleKinds[type]

export const isNativeType = (type: ServedConsoleType): type is NativeConsoleType => kindOf(type).transport === 'native'

/** The types whose connect info has the key `tls_port`. */
export const portOptionalTypes = servedConsoleTypes.filter((type) => kindOf(type).portOptional)
