/**
 * What is withheld from a watcher, by channel and message type. A watcher gets picture, sound and cursor. Its messages reach
 * the hypervisor only if they serve that. Channels that give the guest something, such as a device, cannot be opened.
 * Source: spice-protocol 0.14, `spice/enums.h`.
 */
import type { ConsoleRole } from '@oriel/contract'
import { type ChannelName, channelNames } from './protocol.ts'

/**
 * The message types that are dropped, by channel. `undefined`: the channel cannot be opened.
 *
 * `inputs` can be opened, because the page opens every channel of an ordinary console. All its own messages are dropped.
 */
const dropped: Readonly<Record<ChannelName, ((type: number) => boolean) | undefined>> = {
  /** MOUSE_MODE_REQUEST, AGENT_START, AGENT_DATA, AGENT_TOKEN: the agent moves the pointer and the clipboard. */
  main: (type) => type >= 105 && type <= 108,
  display: () => false,
  inputs: (type) => type >= 101,
  cursor: () => false,
  playback: () => false,
  record: undefined,
  smartcard: undefined,
  usbredir: undefined,
  port: undefined,
  webdav: undefined,
}

const withheld = channelNames.filter((name) => dropped[name] === undefined)

/** Returns the channels that a client with this role cannot open. @param hidden the channels that are hidden from every client */
export const hiddenFrom = (role: ConsoleRole, hidden: ReadonlySet<ChannelName>): ReadonlySet<ChannelName> =>
  role === 'watch' ? new Set([...hidden, ...withheld]) : hidden

/** Whether a watcher's message of this type is dropped. */
export const isWithheld = (channel: ChannelName, type: number): boolean => dropped[channel]?.(type) ?? true
