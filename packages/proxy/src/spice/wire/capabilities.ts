/**
 * Builds the capabilities for each side. The proxy must answer the client before it knows the ticket, and thus the machine,
 * so it takes the server's capabilities from a table. It forwards the client's own capabilities to the hypervisor.
 */
import type { Capabilities } from './link.ts'
import { type ChannelName, commonCapabilities, type HeaderFormat, mainCapabilities } from './protocol.ts'

const { authSelection, authSpice, authSasl, miniHeader } = commonCapabilities

/** The channel capabilities that spice-server 0.15 announces. An empty list means no capability word, unlike `[0]`. */
export const serverCapabilities = {
  main: [0x0f],
  display: [0x1052],
  inputs: [0x01],
  cursor: [],
  playback: [0x0a],
  record: [0x06],
  smartcard: [],
  usbredir: [0x01],
  port: [0x01],
  webdav: [0x01],
} as const satisfies Record<ChannelName, Capabilities>

/** Returns the common capabilities for the reply to the client: those it requested, plus ticket authentication, without SASL. */
export function commonForClient(client: Capabilities): Capabilities {
  return [(word(client, 0) & (authSelection | miniHeader)) | authSpice]
}

/**
 * Returns the client's common capabilities for the hypervisor. Removes SASL: a hypervisor that selects SASL sends no
 * public key for the ticket.
 */
export function commonForHypervisor(client: Capabilities): Capabilities {
  return [((word(client, 0) & ~authSasl) | authSpice) >>> 0, ...client.slice(1)]
}

export interface MainChannelRules {
  /** Whether to request the guest's name and UUID even if the client does not support these messages. */
  readonly identify: boolean
  /** Whether the client may follow a live migration. */
  readonly migrate: boolean
}

/** Returns the client's capabilities of the main channel for the hypervisor. */
export function mainForHypervisor(client: Capabilities, { identify, migrate }: MainChannelRules): Capabilities {
  const { nameAndUuid, semiSeamlessMigration, seamlessMigration } = mainCapabilities
  const added = identify ? nameAndUuid : 0
  const removed = migrate ? 0 : semiSeamlessMigration | seamlessMigration
  return [((word(client, 0) & ~removed) | added) >>> 0, ...client.slice(1)]
}

/** Whether all of `bits` are set in the first word. */
export const has = (capabilities: Capabilities, bits: number): boolean => (word(capabilities, 0) & bits) === bits

/**
 * The header format of both legs. Each leg negotiates MINI_HEADER separately; the functions above forward the client's bit
 * unchanged in both directions, so the legs agree.
 */
export const headerFormat = (client: Capabilities): HeaderFormat => (has(client, miniHeader) ? 'mini' : 'full')

/** Returns the bits of each word in `promised` that `real` lacks, or `undefined` if it lacks none. */
export function lacking(promised: Capabilities, real: Capabilities): Capabilities | undefined {
  const missing = promised.map((bits, i) => (bits & ~word(real, i)) >>> 0)
  return missing.some((bits) => bits !== 0) ? missing : undefined
}

const word = (capabilities: Capabilities, index: number) => capabilities[index] ?? 0
