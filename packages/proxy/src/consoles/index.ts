/** The console types that this proxy serves. */
import type { OpenableConsoleType } from '@oriel/contract'
import type { Console } from './console.ts'
import { novnc, type VncSettings } from './novnc.ts'
import type { ReplaySettings } from './replay.ts'
import { serial } from './serial.ts'
import { spiceHtml5 } from './spice-html5.ts'
import { webmks } from './webmks.ts'

/** A console type that has a file here: those that are spoken in WebSockets. */
export type WebSocketConsoleType = keyof ReturnType<typeof createConsoles>
/** Every console type that this proxy serves. Native SPICE has a front of its own. */
export type ServedConsoleType = WebSocketConsoleType | 'spice-direct'

/** The part of the configuration that consoles are made from. */
export interface ConsoleSettings {
  readonly vnc: VncSettings
  /** How much earlier output of a serial port a new session is shown. */
  readonly serialReplay: ReplaySettings
}

/** Every served type with what it needs from the configuration. */
export const createConsoles = (settings: ConsoleSettings) =>
  ({
    novnc: novnc(settings.vnc),
    'spice-html5': spiceHtml5(settings.vnc.identity),
    serial: serial(settings.serialReplay, settings.vnc.identity),
    webmks: webmks(settings.vnc.identity),
  }) as const satisfies Partial<Record<OpenableConsoleType, Console>>

/** The served types by name, for the configuration. */
export const servedConsoleTypes = [
  ...(Object.keys(
    createConsoles({ vnc: { schemes: [], identity: 'off' }, serialReplay: { maxBytes: 0, keepMs: 0 } }),
  ) as WebSocketConsoleType[]),
  'spice-direct',
] as const satisfies readonly ServedConsoleType[]
