/** The constants of the SPICE protocol that a proxy needs (spice-protocol 0.14, major version 2). */

/** `REDQ`: the first four bytes of every link header. */
export const MAGIC = Buffer.from('REDQ')
export const MAJOR_VERSION = 2
export const MINOR_VERSION = 2

/** Channel types by name. The obsolete tunnel channel (7) is missing, so it is refused. */
export const channelTypes = {
  main: 1,
  display: 2,
  inputs: 3,
  cursor: 4,
  playback: 5,
  record: 6,
  smartcard: 8,
  usbredir: 9,
  port: 10,
  webdav: 11,
} as const

export type ChannelName = keyof typeof channelTypes
export const channelNames = Object.keys(channelTypes) as ChannelName[]

const namesByType = new Map<number, ChannelName>(channelNames.map((name) => [channelTypes[name], name]))

/** Returns the name of a channel type, or `undefined` for an unknown type, which is refused. */
export const channelName = (type: number): ChannelName | undefined => namesByType.get(type)

/** `SpiceLinkErr`: sent in a link reply, and as the result after the ticket. */
export const linkErrors = {
  ok: 0,
  error: 1,
  invalid_magic: 2,
  invalid_data: 3,
  version_mismatch: 4,
  need_secured: 5,
  need_unsecured: 6,
  permission_denied: 7,
  bad_connection_id: 8,
  channel_not_available: 9,
} as const

export type LinkErrorName = keyof typeof linkErrors

/** Formats a link error for the log. */
export function linkErrorText(code: number): string {
  const name = Object.entries(linkErrors).find(([, number]) => number === code)?.[0]
  return name === undefined ? `link error ${code}` : `link error ${code} (${name})`
}

/** Bits of the first word of common capabilities. */
export const commonCapabilities = {
  authSelection: 1 << 0,
  authSpice: 1 << 1,
  authSasl: 1 << 2,
  miniHeader: 1 << 3,
} as const

/** Bits of the first word of the main channel's capabilities. */
export const mainCapabilities = {
  semiSeamlessMigration: 1 << 0,
  nameAndUuid: 1 << 1,
  seamlessMigration: 1 << 3,
} as const

/** The number of the ticket mechanism, which a client sends if both sides support `AUTH_SELECTION`. */
export const MECHANISM_SPICE = 1

/** The types of hypervisor messages that the proxy reads. */
export const serverMessages = {
  /** Sent on every channel when the session moves to the migration's target. */
  migrate: 1,
  main: {
    migrateBegin: 101,
    migrateCancel: 102,
    init: 103,
    channelsList: 104,
    migrateSwitchHost: 111,
    migrateEnd: 112,
    name: 113,
    uuid: 114,
    migrateBeginSeamless: 116,
  },
} as const

/** The format of message headers: 6 bytes, or 18 bytes with a serial number and a list of sub-messages. */
export type HeaderFormat = 'mini' | 'full'
