/** The console types that clients open with a WebSocket: for each descriptor in `kinds.ts`, its behaviour. */
import type { Console, IdentifyingConsole } from './console.ts'
import type { consoleKinds, WebSocketConsoleType } from './kinds.ts'
import { novnc, type VncSettings } from './novnc.ts'
import type { ReplaySettings } from './replay.ts'
import type { ShownCheck } from './secure.ts'
import { serial } from './serial.ts'
import { spiceHtml5 } from './spice-html5.ts'
import { webmks } from './webmks.ts'

/** The part of the configuration that consoles are made from. */
export interface ConsoleSettings {
  readonly vnc: VncSettings
  /** How much earlier output of a serial port a new session is shown. */
  readonly serialReplay: ReplaySettings
}

/** By type. A type whose guest shows its name or UUID must compare it. */
export type Consoles = {
  readonly [T in WebSocketConsoleType]: (typeof consoleKinds)[T]['guestCheck'] extends ShownCheck
    ? IdentifyingConsole
    : Console
}

/** Creates each type with what it needs from the configuration. */
export const createConsoles = (settings: ConsoleSettings): Consoles => ({
  novnc: novnc(settings.vnc),
  'spice-html5': spiceHtml5,
  serial: serial(settings.serialReplay),
  webmks,
})
