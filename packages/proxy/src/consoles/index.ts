/** The behaviour of each console type that clients open with a WebSocket. `kinds.ts` has their descriptors. */
import type { ReplaySettings } from '../serial/hub.ts'
import type { SerialPeers } from '../serial/peers.ts'
import type { Console, IdentifyingConsole } from './console.ts'
import type { consoleKinds, WebSocketConsoleType } from './kinds.ts'
import { novnc, type VncSettings } from './novnc.ts'
import type { ShownCheck } from './secure.ts'
import { serial } from './serial.ts'
import { spiceHtml5 } from './spice-html5.ts'
import { webmks } from './webmks.ts'

/** The settings from the configuration. */
export interface ConsoleSettings {
  readonly vnc: VncSettings
  /** How much earlier output of a serial port a new session receives. */
  readonly serialReplay: ReplaySettings
}

/** The consoles by type. A type whose guest identifies itself must be an {@link IdentifyingConsole}. */
export type Consoles = {
  readonly [T in WebSocketConsoleType]: (typeof consoleKinds)[T]['guestCheck'] extends ShownCheck
    ? IdentifyingConsole
    : Console
}

/**
 * Creates the console of each type.
 * @param serialPeers the serial ports of other processes. Default: there are none
 */
export const createConsoles = (settings: ConsoleSettings, serialPeers?: SerialPeers): Consoles => ({
  novnc: novnc(settings.vnc),
  'spice-html5': spiceHtml5,
  serial: serial(settings.serialReplay, serialPeers),
  webmks,
})
