/**
 * The audit trail: a log record when a console with options is created, when a session is admitted, refused or ended, and
 * when a caller requests its end. Records have the field `audit`, by which to filter the log, and no credentials.
 */
import { type ConsoleRole, consoleTypes, type OpenableConsoleType } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { Server } from '../sources/server.ts'
import type { Invitation } from './invitation-store.ts'
import type { PortHolder } from './port-store.ts'
import type { SessionRecord } from './store.ts'

/** A refused connection. For an unknown token, only the client is known. */
export interface RefusedConnect {
  readonly proxyId: string
  readonly clientAddress: string
  readonly serverId?: string
  readonly projectId?: string
  readonly userId?: string
  readonly type?: string
  /** The session that was to be resumed. */
  readonly resumes?: string
}

/** A console with options. */
export interface CreatedConsole {
  readonly server: Server
  readonly type: OpenableConsoleType
  readonly role: ConsoleRole
  readonly label: string | null
  readonly singleUse: boolean
  readonly ttlSeconds: number
}

/** A span during which a session had control, in milliseconds since the epoch. */
export interface ControlSpan {
  readonly since: number
}
export interface EndedControlSpan extends ControlSpan {
  readonly until: number
}

/** Writes audit records to `log`. */
export function auditTo(log: Logger) {
  return {
    created: (console: CreatedConsole, by: string) =>
      log.info({ audit: 'created', ...consoleOf(console), by }, 'console created with options'),
    admitted: (session: SessionRecord, resumes?: string) =>
      log.info({ audit: 'admitted', ...partiesOf(session), resumes }, 'session admitted'),
    refused: (connect: RefusedConnect, reason: string, detail?: string) =>
      log.info({ audit: 'refused', ...connect, reason, detail }, 'session refused'),
    ended: (session: SessionRecord) =>
      log.info({ audit: 'ended', ...partiesOf(session), ...endOf(session) }, 'session ended'),
    /** The session's proxy counted as lost, and now reports the session as open: the record of its end was premature. */
    returned: (session: SessionRecord) => log.info({ audit: 'returned', ...partiesOf(session) }, 'session returned'),
    /** `since` and `until` are by the proxy's clock. */
    controlStarted: (session: SessionRecord, { since }: ControlSpan) =>
      log.info({ audit: 'control-started', ...partiesOf(session), since: isoTime(since) }, 'session has control'),
    controlEnded: (session: SessionRecord, { since, until }: EndedControlSpan) =>
      log.info(
        {
          ...{ audit: 'control-ended', ...partiesOf(session) },
          ...{ since: isoTime(since), until: isoTime(until), durationMs: until - since },
        },
        'session had control',
      ),
    /** The session goes on at the address to which its server has moved. */
    followed: (session: SessionRecord, to: { readonly host: string; readonly port: number | null }) =>
      log.info({ audit: 'followed', ...partiesOf(session), to }, 'session followed its server'),
    endWanted: (session: SessionRecord, by: string, reason: string) =>
      log.info({ audit: 'end-wanted', ...partiesOf(session), by, reason }, 'session is to end'),
    portTakenOver: (session: SessionRecord, { proxyId, sessions }: PortHolder) =>
      log.info(
        { audit: 'taken-over', ...partiesOf(session), from: proxyId, ending: sessions.map(({ id }) => id) },
        'console taken over from another proxy',
      ),
    /** `fromPage`: by the session's page, in the name of its user. */
    invited: (
      session: SessionRecord,
      invitation: Invitation,
      by: { readonly by: string; readonly fromPage: boolean },
    ) => log.info({ audit: 'invited', ...partiesOf(session), ...termsOf(invitation), ...by }, 'invitation created'),
    invitationRevoked: (
      session: SessionRecord,
      invitation: Invitation,
      by: { readonly by: string; readonly fromPage: boolean; readonly ending: number },
    ) =>
      log.info(
        { audit: 'invitation-revoked', ...partiesOf(session), ...termsOf(invitation), ...by },
        'invitation revoked',
      ),
    screenshot: ({ id, name, projectId }: Server, by: string, format: string) =>
      log.info({ audit: 'screenshot', projectId, serverId: id, serverName: name, by, format }, 'screenshot shown'),
    revoked: (serverId: string, by: string, counts: { readonly revoked: number; readonly ending: number }) =>
      log.info({ audit: 'revoked', serverId, by, ...counts }, 'console tokens revoked'),
  }
}

const isoTime = (ms: number) => new Date(ms).toISOString()

/** The role and the label of the invitation, which may differ from the session's. */
const termsOf = ({ id, role, label, expiresAt }: Invitation) => ({
  ...{ invitation: id, role, label: label ?? undefined, expiresAt: new Date(expiresAt).toISOString() },
})

const consoleOf = ({ server, type, role, label, singleUse, ttlSeconds }: CreatedConsole) => ({
  projectId: server.projectId,
  serverId: server.id,
  serverName: server.name,
  protocol: consoleTypes[type].protocol,
  ...{ type, role, label: label ?? undefined, singleUse, ttlSeconds },
})

const partiesOf = (session: SessionRecord) => ({
  session: session.id,
  userId: session.userId,
  projectId: session.projectId,
  serverId: session.serverId,
  serverName: session.serverName,
  protocol: session.protocol,
  type: session.type,
  clientAddress: session.clientAddress,
  proxyId: session.proxyId,
  role: session.role,
  label: session.label ?? undefined,
  invitation: session.invitationId ?? undefined,
})

// The start and the end are by two clocks, which may differ: a duration is never negative.
const endOf = ({ startedAt, endedAt, endReason, bytesToClient, bytesToConsole }: SessionRecord) => ({
  reason: endReason,
  durationMs: Math.max(0, (endedAt ?? startedAt) - startedAt),
  bytesToClient,
  bytesToConsole,
})
