/**
 * Builds the capabilities for each side. The proxy must answer the client before it knows the ticket, and thus the machine,
 * so it takes the server's capabilities from a table. It forwards the client's own capabilities to the hypervisor.
 */
import type { Capabilities } from './link.ts'
import { type ChannelName, commonCapabilities, type HeaderFormat, mainCapabilities } from './protocol.ts'

const { authSelection, authSpice, authSasl, miniHeader } = commonCapabilities

/** What spice-server 0.15 answers on each channel. A channel without words has none, not a zero. */
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

/** The common capabilities that the client is answered: its own choices, a ticket, and never SASL. */
export function commonForClient(client: Capabilities): Capabilities {
  return [(word(client, 0) & (authSelection | miniHeader)) | authSpice]
}

/** The client's common capabilities as the hypervisor hears them: SASL would make it send no key. */
export function commonForHypervisor(client: Capabilities): Capabilities {
  return [((word(client, 0) & ~authSasl) | authSpice) >>> 0, ...client.slice(1)]
}

export interface MainChannelRules {
  /** Whether the hypervisor shall tell the guest's name and UUID even if the client cannot read them. */
  readonly identify: boolean
  /** Whether the client may follow a live migration. */
  readonly migrate: boolean
}

/** The client's words for the main channel as the hypervisor hears them. */
export function mainForHypervisor(client: Capabilities, { identify, migrate }: MainChannelRules): Capabilities {
  const { nameAndUuid, semiSeamlessMigration, seamlessMigration } = mainCapabilities
  const added = identify ? nameAndUuid : 0
  const removed = migrate ? 0 : semiSeamlessMigration | seamlessMigration
  return [((word(client, 0) & ~removed) | added) >>> 0, ...client.slice(1)]
}

/** Whether bits of the first word are all set. */
export const has = (capabilities: Capabilities, bits: number): boolean => (word(capabilities, 0) & bits) === bits

/** Both ends take their header from the other's word; the rules above keep the two legs alike. */
export const headerFormat = (client: Capabilities): HeaderFormat => (has(client, miniHeader) ? 'mini' : 'full')

/** The words of `promised` that `real` lacks, or nothing. */
export function lacking(promised: Capabilities, real: Capabilities): Capabilities | undefined {
  const missing = promised.map((bits, i) => (bits & ~word(real, i)) >>> 0)
  return missing.some((bits) => bits !== 0) ? missing : undefined
}

const word = (capabilities: Capabilities, index: number) => capabilities[index] ?? 0
