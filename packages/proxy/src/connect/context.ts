/** What the steps of a connect share. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ConsoleRole } from '@oriel/contract'
import type { AddressSet, Logger, RefusedOrigins } from '@oriel/runtime'
import type { ForwardedHeader } from '../admit/forwarded.ts'
import type { Limits, Slots } from '../admit/limits.ts'
import type { AllowedOrigin, PublicAddress } from '../admit/origin.ts'
import type { RateLimit } from '../admit/rate-limit.ts'
import type { SharingRules } from '../admit/sharing.ts'
import type { UnauthenticatedLimits } from '../admit/unauthenticated-limits.ts'
import type { Authority } from '../authority/authority.ts'
import type { Consoles } from '../consoles/index.ts'
import type { NativeConsoleType, ServedConsoleType } from '../consoles/kinds.ts'
import type { IdentitySetting } from '../hypervisor/config.ts'
import type { ProxyMetrics } from '../metrics.ts'
import type { SharedConsoles } from '../presence/shared-consoles.ts'
import type { Tickets } from '../resume/tickets.ts'
import type { BufferBudget } from '../session/buffer-budget.ts'
import type { SessionRecord } from '../session/open-session.ts'
import type { PageSessions } from '../session/page-sessions.ts'
import type { LaterSession, Sessions } from '../session/sessions.ts'
import type { Timing } from '../timing.ts'
import type { Moves } from './moves.ts'
import type { UpgradeRequest } from './refuse.ts'

/** Serves a native console type. */
export interface NativeFrontend {
  /**
   * Responds to a request if its path is that of a console file. Returns whether it does.
   * @param path below the listener's prefix
   */
  respond(listener: string, path: string, request: IncomingMessage, response: ServerResponse): boolean
}

/** What all connects of a proxy share. */
export interface ConnectContext {
  readonly consoles: Consoles
  readonly identity: IdentitySetting
  readonly authority: Authority
  /** Who may have a console while others have it. */
  readonly sharing: SharingRules
  /** The limits of this process alone, which native SPICE uses. */
  readonly limits: Limits
  /** The slots of all workers. */
  readonly slots: Slots
  /** The memory for bytes that wait for clients. */
  readonly budget: BufferBudget
  readonly sessions: Sessions
  /** Absent: the authority cannot say where machines are. */
  readonly moves?: Moves | undefined
  /** Ends the earlier sessions, in all workers, of a page that has come back, or whose ticket was copied. */
  readonly endEarlier: (later: LaterSession) => void
  /** The pages' sessions in all workers. */
  readonly pageSessions: PageSessions
  /** The tickets with which pages resume their sessions. */
  readonly tickets: Tickets
  /** Who has which console open, in all workers, and who controls it. */
  readonly sharedConsoles: SharedConsoles
  /** Limits the presence requests of each session, also of a page that reconnects. */
  readonly presenceRequests: RateLimit
  /** The frontend of each native type; `undefined` for a type that is not served. */
  readonly frontends: Readonly<Record<NativeConsoleType, NativeFrontend | undefined>>
  readonly allowedOrigins: readonly AllowedOrigin[]
  readonly refusedOrigins: RefusedOrigins
  readonly trustedProxies: AddressSet
  /** The header of trusted proxies that is read. Default: both. */
  readonly forwardedHeader?: ForwardedHeader | undefined
  readonly unauthenticatedLimits: UnauthenticatedLimits
  readonly enforceTokenExpiry: boolean
  readonly timing: Timing
  readonly metrics: ProxyMetrics
  readonly log: Logger
  readonly draining: () => boolean
  /** Aborts the connects in progress when the proxy stops. */
  readonly closing: AbortSignal
}

/** The listener through which a request came. */
export interface ListenerFacts {
  /** `host:port` as bound. */
  readonly address: string
  readonly consoles: readonly ServedConsoleType[]
  /** Whether it serves only programs and pages of this machine, as `admitLocal` defines them. */
  readonly onlyLocal: boolean
  readonly publicAddress: PublicAddress
}

/** One connect in progress. */
export interface Connecting {
  readonly context: ConnectContext
  readonly listener: ListenerFacts
  readonly upgrade: UpgradeRequest
  /** Aborts when the client leaves or the proxy stops. */
  readonly signal: AbortSignal
  /** The client's address: at first the peer's, then the one that a trusted proxy reports. */
  client: string
  /** The authority's record, once it has admitted the token. */
  record?: SessionRecord | undefined
  /** The role of the session, once the authority has admitted the token. Default: `control`. */
  role?: ConsoleRole | undefined
}
