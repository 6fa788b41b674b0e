/**
 * An allow-list of client messages, by their headers. It protects the hypervisor's process, which some messages crash or
 * corrupt: those that are legal only during a live migration, and those with an absurd size.
 * Source: spice-protocol 0.14, and the messages that spice-gtk 0.42 sends.
 */
import type { MessageHeader } from './framing.ts'
import { type ChannelName, channelNames } from './protocol.ts'

/** The maximum body size that a correct client sends, by message type. */
type MaxBytes = Readonly<Record<number, number>>

const KiB = 1024
const MiB = 1024 * KiB

/** ACK_SYNC, ACK, PONG, DISCONNECTING. */
const common: MaxBytes = { 1: 4, 2: 0, 3: 12, 6: 12 }
/** FLUSH_MARK, MIGRATE_DATA. */
const commonWhileMigrating: MaxBytes = { 4: 0, 5: 16 * MiB }
/** MIGRATE_CONNECTED, MIGRATE_CONNECT_ERROR, MIGRATE_END, MIGRATE_DST_DO_SEAMLESS, MIGRATE_CONNECTED_SEAMLESS. */
const mainWhileMigrating: MaxBytes = { 102: 0, 103: 0, 109: 0, 110: 4, 111: 0 }

/** DATA and COMPRESSED_DATA of channels that redirect a device as a byte stream. */
const vmc: MaxBytes = { 101: 16 * MiB, 102: 16 * MiB }
/** Those and PORT_EVENT. */
const port: MaxBytes = { ...vmc, 201: 1 }

const byChannel = {
  /** CLIENT_INFO, ATTACH_CHANNELS, MOUSE_MODE_REQUEST, AGENT_START, AGENT_DATA, AGENT_TOKEN, QUALITY_INDICATOR. */
  main: { 101: 8, 104: 0, 105: 2, 106: 4, 107: 2 * KiB, 108: 4, 112: 4 },
  /** INIT, STREAM_REPORT, PREFERRED_COMPRESSION, GL_DRAW_DONE, PREFERRED_VIDEO_CODEC_TYPE. */
  display: { 101: 14, 102: 32, 103: 1, 104: 0, 105: 64 },
  /** KEY_DOWN, KEY_UP, KEY_MODIFIERS, KEY_SCANCODE, MOUSE_MOTION, MOUSE_POSITION, MOUSE_PRESS, MOUSE_RELEASE. */
  inputs: { 101: 4, 102: 4, 103: 2, 104: 64, 111: 10, 112: 11, 113: 3, 114: 3 },
  cursor: {},
  playback: {},
  /** DATA, MODE, START_MARK. */
  record: { 101: 64 * KiB, 102: 64 * KiB, 103: 4 },
  smartcard: { 101: 64 * KiB },
  usbredir: vmc,
  port,
  webdav: port,
} as const satisfies Record<ChannelName, MaxBytes>

type Rules = ReadonlyMap<number, number>
const rulesOf = (...tables: MaxBytes[]): Rules =>
  new Map(tables.flatMap((table) => Object.entries(table).map(([type, bytes]) => [Number(type), bytes] as const)))
const forChannels = (rules: (name: ChannelName) => Rules) =>
  Object.fromEntries(channelNames.map((name) => [name, rules(name)])) as Record<ChannelName, Rules>

const always = forChannels((name) => rulesOf(common, byChannel[name]))
const whileMigrating = forChannels((name) => rulesOf(commonWhileMigrating, name === 'main' ? mainWhileMigrating : {}))

/**
 * Returns the reason why a client's message is forbidden, or `undefined` if it is allowed.
 * @param migrating whether the session's instance is migrating now
 */
export function objection(channel: ChannelName, message: MessageHeader, migrating: boolean): string | undefined {
  const { type, size, subList } = message
  const special = whileMigrating[channel].get(type)
  const maxBytes = always[channel].get(type) ?? (migrating ? special : undefined)
  if (maxBytes === undefined) {
    return special === undefined
      ? 'clients never send this message on this channel'
      : 'this message is allowed only during a live migration'
  }
  if (size > maxBytes) return `a body of ${size} bytes, the maximum is ${maxBytes}`
  return subList === 0 ? undefined : 'the message contains sub-messages'
}
