/** The invitation store over SQL, with the queries for all dialects. */
import { type Kysely, type Selectable, sql } from 'kysely'
import type { InvitationRow } from '../database/option-tables.ts'
import { reaching } from '../database/reach.ts'
import type { Database } from '../database/tables.ts'
import type { CurrentInvitation, Invitation, InvitationStore } from './invitation-store.ts'
import { familyOf } from './sql-store.ts'
import { UNOPENED_ENDS } from './store.ts'

type Db = Kysely<Database>

/**
 * Creates a store in `db`, whose tables are up to date.
 * @param now in milliseconds since the epoch.
 */
export function createSqlInvitationStore(db: Db, now: () => number): InvitationStore {
  return {
    add: (invitation) => reach(add(db, { ...invitation, createdAt: now() })),
    find: (sessionId, id) => reach(find(db, sessionId, id)),
    list: (sessionId) => reach(list(db, sessionId)),
    listCurrent: (sessionId) => reach(listCurrent(db, sessionId, now())),
    isUsable: (id) => reach(isUsable(db, id)),
    revoke: (id) => reach(revoke(db, id, now())),
  }
}

async function add(db: Db, invitation: Invitation): Promise<Invitation> {
  const row = toRow(invitation, await familyOf(db, invitation.sessionId))
  await db.insertInto('invitations').values(row).execute()
  return invitation
}

async function find(db: Db, sessionId: string, id: string): Promise<Invitation | undefined> {
  const query = db.selectFrom('invitations').selectAll().where('id', '=', id)
  const row = await query.where('family_id', '=', await familyOf(db, sessionId)).executeTakeFirst()
  return row && fromRow(row)
}

async function list(db: Db, sessionId: string): Promise<readonly Invitation[]> {
  return (await unrevoked(db, await familyOf(db, sessionId)).execute()).map(fromRow)
}

const unrevoked = (db: Db, familyId: string) =>
  db
    .selectFrom('invitations')
    .selectAll()
    .where('family_id', '=', familyId)
    .where('revoked_at', 'is', null)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')

/** Filters in the database, since a page may let any number of invitations expire. */
async function listCurrent(db: Db, sessionId: string, now: number): Promise<readonly CurrentInvitation[]> {
  const ofInvitation = openedWith(db).where('invitation_id', '=', sql.ref<string>('invitations.id'))
  const query = unrevoked(db, await familyOf(db, sessionId)).where(({ or, eb, exists }) =>
    or([eb('expires_at', '>', now), exists(ofInvitation)]),
  )
  const invitations = (await query.execute()).map(fromRow)
  const used = await usedOf(db, invitations)
  return invitations.map((invitation) => ({ ...invitation, isUsed: used.has(invitation.id) }))
}

async function usedOf(db: Db, invitations: readonly Invitation[]): Promise<ReadonlySet<string | null>> {
  if (invitations.length === 0) return new Set()
  const ids = invitations.map(({ id }) => id)
  const rows = await openedWith(db).distinct().where('invitation_id', 'in', ids).execute()
  return new Set(rows.map(({ invitation_id }) => invitation_id))
}

/** Selects the sessions that have used an invitation up. A session that never opened does not count. */
const openedWith = (db: Db) =>
  db
    .selectFrom('session_options')
    .innerJoin('sessions', 'sessions.id', 'session_options.session_id')
    .select('invitation_id')
    .where(({ or, eb }) =>
      or([
        ...[eb('ended_at', 'is', null), eb('end_reason', 'is', null), eb('end_reason', 'not in', UNOPENED_ENDS)],
        ...[eb('bytes_to_client', '>', 0), eb('bytes_to_console', '>', 0)],
      ]),
    )

async function isUsable(db: Db, id: string): Promise<boolean> {
  const query = db.selectFrom('invitations').select('family_id').where('id', '=', id).where('revoked_at', 'is', null)
  const found = await query.executeTakeFirst()
  return found !== undefined && (await isFamilyOpen(db, found.family_id))
}

async function isFamilyOpen(db: Db, familyId: string): Promise<boolean> {
  const open = db.selectFrom('sessions').select('id').where('ended_at', 'is', null).where('end_wanted', 'is', null)
  if (await open.where('id', '=', familyId).executeTakeFirst()) return true
  const resuming = db.selectFrom('session_families').select('session_id').where('family_id', '=', familyId)
  return (await open.where('id', 'in', resuming).limit(1).executeTakeFirst()) !== undefined
}

async function revoke(db: Db, id: string, now: number): Promise<boolean> {
  const query = db.updateTable('invitations').set({ revoked_at: now }).where('id', '=', id)
  return (await query.where('revoked_at', 'is', null).executeTakeFirst()).numUpdatedRows > 0n
}

const reach = reaching('the store of sessions')

const toRow = (invitation: Invitation, familyId: string): InvitationRow => ({
  id: invitation.id,
  session_id: invitation.sessionId,
  family_id: familyId,
  server_id: invitation.serverId,
  type: invitation.type,
  role: invitation.role,
  label: invitation.label,
  created_by: invitation.createdBy,
  created_at: invitation.createdAt,
  expires_at: invitation.expiresAt,
  token_key: invitation.tokenId,
  revoked_at: null,
})

// Some drivers return a bigint as a number, others as text.
const fromRow = (row: Selectable<InvitationRow>): Invitation => ({
  id: row.id,
  sessionId: row.session_id,
  serverId: row.server_id,
  type: row.type as Invitation['type'],
  role: row.role as Invitation['role'],
  label: row.label,
  createdBy: row.created_by,
  createdAt: Number(row.created_at),
  expiresAt: Number(row.expires_at),
  tokenId: row.token_key,
})
