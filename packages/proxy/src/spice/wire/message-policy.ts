/**
 * Which messages a client may send, by header alone. Whatever is not listed ends the channel: some messages that are
 * legal only while a machine migrates, or have an absurd size, end or corrupt the hypervisor's process.
 * Source: spice-protocol 0.14 and what spice-gtk 0.42 sends.
 */
import type { MessageHeader } from './framing.ts'
import { type ChannelName, channelNames } from './protocol.ts'

/** By message type: the most bytes that the body of a correct client has. */
type MaxBytes = Readonly<Record<number, number>>

const KiB = 1024
const MiB = 1024 * KiB

/** ACK_SYNC, ACK, PONG, DISCONNECTING. */
const common: MaxBytes = { 1: 4, 2: 0, 3: 12, 6: 12 }
/** FLUSH_MARK, MIGRATE_DATA. */
const commonWhileMigrating: MaxBytes = { 4: 0, 5: 16 * MiB }
/** MIGRATE_CONNECTED, MIGRATE_CONNECT_ERROR, MIGRATE_END, MIGRATE_DST_DO_SEAMLESS, MIGRATE_CONNECTED_SEAMLESS. */
const mainWhileMigrating: MaxBytes = { 102: 0, 103: 0, 109: 0, 110: 4, 111: 0 }

/** DATA and COMPRESSED_DATA of a device that is redirected as bytes. */
const vmc: MaxBytes = { 101: 16 * MiB, 102: 16 * MiB }
/** PORT_EVENT besides. */
const port: MaxBytes = { ...vmc, 201: 1 }

const own = {
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

const always = forChannels((name) => rulesOf(common, own[name]))
const whileMigrating = forChannels((name) => rulesOf(commonWhileMigrating, name === 'main' ? mainWhileMigrating : {}))

/**
 * Why a client's message may not pass, or `undefined` when it may.
 * @param migrating whether the machine of this session migrates at the moment
 */
export function objection(channel: ChannelName, message: MessageHeader, migrating: boolean): string | undefined {
  const { type, size, subList } = message
  const special = whileMigrating[channel].get(type)
  const maxBytes = always[channel].get(type) ?? (migrating ? special : undefined)
  if (maxBytes === undefined) {
    return special === undefined ? 'this channel has no such message' : 'only while the machine migrates'
  }
  if (size > maxBytes) return `a body of ${size} bytes, where at most ${maxBytes} are right`
  return subList === 0 ? undefined : 'it carries sub-messages'
}
