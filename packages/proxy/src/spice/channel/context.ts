/** The objects that the connections of all SPICE clients share. */
import type { AddressSet, Logger } from '@oriel/runtime'
import type { ForwardedHeader } from '../../admit/forwarded.ts'
import type { Limits, Slots } from '../../admit/limits.ts'
import type { Authority } from '../../authority/authority.ts'
import type { ProxyMetrics } from '../../metrics.ts'
import type { BufferBudget } from '../../session/buffer-budget.ts'
import type { Sessions } from '../../session/sessions.ts'
import type { Timing } from '../../timing.ts'
import type { SpiceSession } from '../session/session.ts'
import type { Tickets } from '../session/tickets.ts'
import type { TicketKeys } from '../wire/ticket-keys.ts'
import type { SpiceSecurity } from './hypervisor-leg.ts'
import type { MainRules } from './main-channel.ts'

/** The settings from the configuration. */
export interface SpiceSettings extends MainRules {
  readonly policy: 'enforce' | 'watch'
  /** Whether a second viewer of a machine takes the session over or is refused. */
  readonly inUse: 'take_over' | 'refuse'
  readonly graceMs: number
  readonly maxChannels: number
  /** Deadline from the ticket to the hypervisor's result: the target of a migration may take ten seconds. */
  readonly legTimeoutMs: number
  /** The delay of the answer to a wrong ticket. */
  readonly wrongTicketDelayMs: number
  /** How long a refused client may take to read the answer and close. */
  readonly flushTimeoutMs: number
  readonly enforceTokenExpiry: boolean
  readonly security: SpiceSecurity
}

/** Shared by all connections: one object for the whole proxy. */
export interface SpiceContext {
  readonly settings: SpiceSettings
  readonly keys: TicketKeys
  readonly tickets: Tickets
  readonly authority: Authority
  /** Marks a single-use token as used when its file is served. */
  readonly limits: Pick<Limits, 'use'>
  readonly slots: Slots
  readonly sessions: Sessions
  /** The open session of each instance. */
  readonly byInstance: Map<string, SpiceSession>
  readonly trustedProxies: AddressSet
  /** The header of trusted proxies that is read. Default: both. */
  readonly forwardedHeader?: ForwardedHeader | undefined
  readonly timing: Timing
  /** The memory for bytes that wait for clients. */
  readonly budget: BufferBudget
  readonly metrics: ProxyMetrics
  readonly log: Logger
  readonly draining: () => boolean
  /** Aborts when connections that are still opening must be dropped. */
  readonly closing: AbortSignal
}
