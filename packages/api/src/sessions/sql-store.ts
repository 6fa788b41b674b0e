/** The session store over SQL, with the queries for all dialects. */
import { randomUUID } from 'node:crypto'
import type { CloseReasonName } from '@oriel/contract'
import type { Kysely, Selectable } from 'kysely'
import type { SessionOptionsRow } from '../database/option-tables.ts'
import { reaching } from '../database/reach.ts'
import type { SessionRow } from '../database/session-tables.ts'
import type { Database } from '../database/tables.ts'
import {
  type Beat,
  type BeatOutcome,
  type ByteCounts,
  type EndedSession,
  FINAL_ENDS,
  type NewSession,
  PROXY_LOST,
  RESUMABLE_MS,
  type SessionFilter,
  type SessionRecord,
  type SessionStore,
} from './store.ts'

/** Ids in one query, since databases limit the number of parameters. */
const IDS_AT_ONCE = 500
/** The length of the column. Longer names are cut, since they are only shown. */
const MAX_NAME_LENGTH = 255

type Db = Kysely<Database>

/**
 * Creates a store in `db`, whose tables are up to date.
 * @param now in milliseconds since the epoch.
 * @param proveWrites rejects while the database accepts no writes.
 */
export function createSqlSessionStore(db: Db, now: () => number, proveWrites: () => Promise<void>): SessionStore {
  return {
    claimProxy: (proxyId, owner, silentMs) =>
      reach(claimProxy(db, { proxyId, owner, now: now(), silentSince: now() - silentMs })),
    add: (session, resumes) => reach(add(db, session, now(), resumes)),
    find: (id) => reach(find(db, id)),
    findOfProxy: (proxyId, ids) => reach(findOfProxy(db, proxyId, ids)),
    findResumable: (id) => reach(findResumable(db, id, now() - RESUMABLE_MS)),
    list: (filter) => reach(list(db, filter)),
    beat: (proxyId, beat, unnamedMs) => reach(takeBeat(db, { proxyId, beat, unnamedMs, now: now() })),
    end: (id, reason) => reach(endOne(db, id, { endedAt: now(), reason })),
    wantEnd: (id, reason) => reach(wantSessionEnd(db, { id, reason, resumableSince: now() - RESUMABLE_MS })),
    wantServerEnd: (serverId, reason) =>
      reach(wantEnd(db, { column: 'server_id', value: serverId, reason, resumableSince: now() - RESUMABLE_MS })),
    wantInvitedEnd: (invitationId, reason) => reach(wantInvitedEnd(db, { invitationId, reason, now: now() })),
    keepMoved: (id) => reach(keepMoved(db, id)),
    endLost: (silentMs) => reach(endLost(db, now() - silentMs, now())),
    forget: (ageMs) => reach(forget(db, now() - ageMs)),
    check: async () => {
      await reach(find(db, ''))
      await reach(proveWrites())
    },
  }
}

async function add(db: Db, session: NewSession, now: number, resumes?: string): Promise<SessionRecord> {
  const row = toRow(session, now)
  const options = toOptionsRow(row.id, session)
  await noteProxy(db, session.proxyId, now)
  const familyId = resumes === undefined ? undefined : await familyOf(db, resumes)
  await insertWhole(db, { row, options, familyId })
  return fromRow({ ...row, ...options })
}

interface WholeSession {
  readonly row: SessionRow
  readonly options: SessionOptionsRow
  readonly familyId: string | undefined
}

/**
 * In one transaction: a session without its options would be listed as one with control, and a session without its family
 * could be resumed after that has ended.
 */
async function insertWhole(db: Db, { row, options, familyId }: WholeSession): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await transaction.insertInto('sessions').values(row).execute()
    if (hasOptions(options)) await transaction.insertInto('session_options').values(options).execute()
    if (familyId === undefined) return
    await transaction.insertInto('session_families').values({ session_id: row.id, family_id: familyId }).execute()
  })
}

const hasOptions = ({ role, label, invitation_id, token_key }: SessionOptionsRow) =>
  role !== 'control' || label !== null || invitation_id !== null || token_key !== null

/** The sessions with their options, which are null for a session without any. */
const withOptions = (db: Db) =>
  db
    .selectFrom('sessions')
    .leftJoin('session_options', 'session_id', 'id')
    .selectAll('sessions')
    .select(['role', 'label', 'invitation_id', 'token_key'])

async function findResumable(db: Db, id: string, endedSince: number): Promise<SessionRecord | undefined> {
  const session = await find(db, id)
  if (!session) return undefined
  const { endedAt, endReason, endWanted } = session
  if (endedAt !== null && endedAt < endedSince) return undefined
  if ([endReason, endWanted].some((reason) => reason !== null && FINAL_ENDS.includes(reason))) return undefined
  return (await isFamilyEnded(db, await familyOf(db, id))) ? undefined : session
}

/** Returns the first session of the chain that a session belongs to. */
export async function familyOf(db: Db, sessionId: string): Promise<string> {
  const query = db.selectFrom('session_families').select('family_id').where('session_id', '=', sessionId)
  return (await query.executeTakeFirst())?.family_id ?? sessionId
}

async function isFamilyEnded(db: Db, familyId: string): Promise<boolean> {
  const query = db.selectFrom('ended_families').select('family_id').where('family_id', '=', familyId)
  return (await query.executeTakeFirst()) !== undefined
}

/** Of two concurrent calls, the second finds the row of the first. */
async function endFamily(db: Db, sessionId: string): Promise<void> {
  const familyId = await familyOf(db, sessionId)
  if (await isFamilyEnded(db, familyId)) return
  try {
    await db.insertInto('ended_families').values({ family_id: familyId }).execute()
  } catch (error) {
    if (!(await isFamilyEnded(db, familyId))) throw error
  }
}

interface Claim {
  readonly proxyId: string
  readonly owner: string
  readonly now: number
  readonly silentSince: number
}

async function claimProxy(db: Db, claim: Claim): Promise<boolean> {
  const current = await ownerOf(db, claim.proxyId)
  if (current === claim.owner) return true
  if (current === undefined) return claimUnowned(db, claim)
  if (!(await isAbandoned(db, claim))) return false
  // Updates the proxy first, so that a third owner does not find the new one's id abandoned.
  await noteProxy(db, claim.proxyId, claim.now)
  // Compares the owner again, so that of two concurrent claims only one succeeds.
  const query = db
    .updateTable('proxy_owners')
    .set({ owner: claim.owner })
    .where('proxy_id', '=', claim.proxyId)
    .where('owner', '=', current)
  if ((await query.executeTakeFirst()).numUpdatedRows > 0n) return true
  return (await ownerOf(db, claim.proxyId)) === claim.owner
}

/** Updates the proxy first, so that the new owner's id never looks abandoned. */
async function claimUnowned(db: Db, { proxyId, owner, now }: Claim): Promise<boolean> {
  await noteProxy(db, proxyId, now)
  try {
    await db.insertInto('proxy_owners').values({ proxy_id: proxyId, owner }).execute()
    return true
  } catch (error) {
    const winner = await ownerOf(db, proxyId)
    if (winner === undefined) throw error
    return winner === owner
  }
}

async function ownerOf(db: Db, proxyId: string): Promise<string | undefined> {
  const query = db.selectFrom('proxy_owners').select('owner').where('proxy_id', '=', proxyId)
  return (await query.executeTakeFirst())?.owner
}

async function isAbandoned(db: Db, { proxyId, silentSince }: Claim): Promise<boolean> {
  const reporting = db.selectFrom('proxies').select('proxy_id').where('proxy_id', '=', proxyId)
  if (await reporting.where('last_beat_at', '>=', silentSince).executeTakeFirst()) return false
  const open = db.selectFrom('sessions').select('id').where('proxy_id', '=', proxyId).where('ended_at', 'is', null)
  return (await open.limit(1).executeTakeFirst()) === undefined
}

async function find(db: Db, id: string): Promise<SessionRecord | undefined> {
  const row = await withOptions(db).where('id', '=', id).executeTakeFirst()
  return row && fromRow(row)
}

async function list(db: Db, filter: SessionFilter): Promise<readonly SessionRecord[]> {
  const { projectId, serverId, userId, state, after, limit } = filter
  let query = withOptions(db).orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit)
  if (projectId !== undefined) query = query.where('project_id', '=', projectId)
  if (serverId !== undefined) query = query.where('server_id', '=', serverId)
  if (userId !== undefined) query = query.where('user_id', '=', userId)
  if (state !== undefined) query = query.where('ended_at', state === 'open' ? 'is' : 'is not', null)
  if (after !== undefined) {
    query = query.where(({ and, or, eb }) =>
      or([
        eb('started_at', '<', after.startedAt),
        and([eb('started_at', '=', after.startedAt), eb('id', '<', after.id)]),
      ]),
    )
  }
  return (await query.execute()).map(fromRow)
}

/** Returns the open sessions of a console at some proxies, or at all, the oldest first. */
export async function openOf(
  db: Db,
  {
    serverId,
    type,
    proxyIds,
  }: { readonly serverId: string; readonly type: string; readonly proxyIds?: readonly string[] },
): Promise<readonly SessionRecord[]> {
  const query = withOptions(db)
    .where('server_id', '=', serverId)
    .where('type', '=', type)
    .$if(proxyIds !== undefined, (all) => all.where('proxy_id', 'in', proxyIds!))
    .where('ended_at', 'is', null)
    .orderBy('started_at')
    .orderBy('id')
  return (await query.execute()).map(fromRow)
}

interface BeatInput {
  readonly proxyId: string
  readonly beat: Beat
  readonly unnamedMs: number
  readonly now: number
}

async function takeBeat(db: Db, { proxyId, beat, unnamedMs, now }: BeatInput): Promise<BeatOutcome> {
  await noteProxy(db, proxyId, now)
  const ended = await endReported(db, { proxyId, reported: beat.ended, now })
  // The proxy's own operator ended these; those that the API wanted ended have no resumable family already.
  for (const { id, endReason, endWanted } of ended) if (endReason === 'ended' && !endWanted) await endFamily(db, id)
  const known = await ofProxy(db, proxyId)
  const named = new Map(beat.open.map((each) => [each.id, each]))
  const returned = await bringBack(db, known, named)
  await count(db, known, named)
  const open = known.filter(({ endedAt }) => endedAt === null)
  const unnamed = open.filter(({ id, startedAt }) => !named.has(id) && startedAt < now - unnamedMs)
  const lost = await endAll(db, unnamed, () => ({ endedAt: now, reason: PROXY_LOST }))
  const wanted = known.filter(({ id, endWanted }) => endWanted !== null && named.has(id))
  const over = await overInRecords(db, { proxyId, beat, known })
  return {
    end: [...wanted, ...over].map(({ id, endWanted }) => ({ id, reason: endWanted ?? 'ended' })),
    ended: [...ended, ...lost],
    returned,
  }
}

/**
 * Sessions that are open at the proxy but over in the records. They must be closed, because an API call could no longer end
 * them. Sessions that the records never had go on, since a lost database must not close consoles.
 */
async function overInRecords(
  db: Db,
  { proxyId, beat, known }: Pick<BeatInput, 'proxyId' | 'beat'> & { readonly known: readonly SessionRecord[] },
): Promise<readonly SessionRecord[]> {
  const ids = new Set(known.map(({ id }) => id))
  const found = await byIds(
    db,
    beat.open.filter(({ id }) => !ids.has(id)),
  )
  return [...found.values()].filter((session) => session.proxyId === proxyId && session.endedAt !== null)
}

/**
 * Updates, or else inserts, since each database has another syntax for upserts. Of two concurrent inserts, the second
 * updates.
 */
export async function noteProxy(db: Db, proxyId: string, now: number): Promise<void> {
  const update = async () => {
    const query = db.updateTable('proxies').set({ last_beat_at: now }).where('proxy_id', '=', proxyId)
    return (await query.executeTakeFirst()).numUpdatedRows > 0n
  }
  if (await update()) return
  try {
    await db.insertInto('proxies').values({ proxy_id: proxyId, last_beat_at: now }).execute()
  } catch (error) {
    if (!(await update())) throw error
  }
}

async function endReported(
  db: Db,
  {
    proxyId,
    reported,
    now,
  }: { readonly proxyId: string; readonly reported: readonly EndedSession[]; readonly now: number },
): Promise<readonly SessionRecord[]> {
  const known = await byIds(db, reported)
  const news = reported.filter(({ id }) => {
    const session = known.get(id)
    return session?.proxyId === proxyId && isOpenOrLost(session)
  })
  return endAll(db, news, ({ id, endedAt, reason, ...counts }) => {
    const session = known.get(id)!
    // Clamped, since a proxy's clock may be wrong, and a compromised proxy may send any time.
    const at = Math.max(session.startedAt, Math.min(endedAt, now))
    return { endedAt: at, reason, counts: noLess(session, counts), evenLost: true }
  })
}

async function byIds(db: Db, wanted: readonly { readonly id: string }[]): Promise<Map<string, SessionRecord>> {
  const found = new Map<string, SessionRecord>()
  for (let start = 0; start < wanted.length; start += IDS_AT_ONCE) {
    const ids = wanted.slice(start, start + IDS_AT_ONCE).map(({ id }) => id)
    const rows = await withOptions(db).where('id', 'in', ids).execute()
    for (const row of rows) found.set(row.id, fromRow(row))
  }
  return found
}

async function findOfProxy(db: Db, proxyId: string, ids: readonly string[]): Promise<Map<string, SessionRecord>> {
  const found = await byIds(
    db,
    ids.map((id) => ({ id })),
  )
  return new Map([...found].filter(([, session]) => session.proxyId === proxyId))
}

const isOpenOrLost = ({ endedAt, endReason }: SessionRecord) => endedAt === null || endReason === PROXY_LOST

async function ofProxy(db: Db, proxyId: string): Promise<readonly SessionRecord[]> {
  const query = withOptions(db)
    .where('proxy_id', '=', proxyId)
    .where(({ or, eb }) => or([eb('ended_at', 'is', null), eb('end_reason', '=', PROXY_LOST)]))
    .orderBy('id')
  return (await query.execute()).map(fromRow)
}

type Named = ReadonlyMap<string, ByteCounts>

/** Reopens the records of sessions that counted as lost and that their proxy still has open. */
async function bringBack(db: Db, known: readonly SessionRecord[], named: Named): Promise<readonly SessionRecord[]> {
  const returned: SessionRecord[] = []
  for (const session of known.filter(({ id, endedAt }) => endedAt !== null && named.has(id))) {
    const query = db
      .updateTable('sessions')
      .set({ ended_at: null, end_reason: null })
      .where('id', '=', session.id)
      .where('end_reason', '=', PROXY_LOST)
    const { numUpdatedRows } = await query.executeTakeFirst()
    if (numUpdatedRows > 0n) returned.push({ ...session, endedAt: null, endReason: null })
  }
  return returned
}

/** Writes the counts that have changed, in one statement, since most consoles are idle. */
async function count(db: Db, known: readonly SessionRecord[], named: Named): Promise<void> {
  const changed = known.flatMap((session) => {
    const reported = noLess(session, named.get(session.id) ?? session)
    const differs =
      reported.bytesToClient !== session.bytesToClient || reported.bytesToConsole !== session.bytesToConsole
    return differs ? [{ id: session.id, reported }] : []
  })
  if (changed.length === 0) return
  await db.transaction().execute(async (transaction) => {
    for (const { id, reported } of changed) {
      await transaction.updateTable('sessions').set(countColumns(reported)).where('id', '=', id).execute()
    }
  })
}

interface End {
  readonly endedAt: number
  readonly reason: string
  readonly counts?: ByteCounts
  /** Whether to end a session that counts as lost once more, with the end that its proxy reports. */
  readonly evenLost?: boolean
}

/**
 * Returns the ended session, or `undefined` if another call ended it first. The caller that gets it writes the audit
 * record.
 */
async function endOne(
  db: Db,
  id: string,
  { endedAt, reason, counts, evenLost }: End,
): Promise<SessionRecord | undefined> {
  const query = db
    .updateTable('sessions')
    .set({ ended_at: endedAt, end_reason: reason, ...(counts && countColumns(counts)) })
    .where('id', '=', id)
    .where(({ or, eb }) => or([eb('ended_at', 'is', null), ...(evenLost ? [eb('end_reason', '=', PROXY_LOST)] : [])]))
  const { numUpdatedRows } = await query.executeTakeFirst()
  return numUpdatedRows > 0n ? find(db, id) : undefined
}

/** Ends sessions in the order of their ids, so that two replicas that end the same ones cannot deadlock. */
async function endAll<S extends { readonly id: string }>(
  db: Db,
  sessions: readonly S[],
  endOf: (session: S) => End,
): Promise<readonly SessionRecord[]> {
  if (sessions.length === 0) return []
  const inOrder = sessions.toSorted((one, other) => (one.id < other.id ? -1 : 1))
  return db.transaction().execute(async (transaction) => {
    const ended: SessionRecord[] = []
    for (const session of inOrder) {
      const record = await endOne(transaction, session.id, endOf(session))
      if (record) ended.push(record)
    }
    return ended
  })
}

interface WantedEnd {
  readonly column: 'id' | 'server_id'
  readonly value: string
  readonly reason: string
  /** The earliest end of a session that may still be resumed. */
  readonly resumableSince: number
}

async function wantSessionEnd(
  db: Db,
  { id, reason, resumableSince }: { readonly id: string } & Pick<WantedEnd, 'reason' | 'resumableSince'>,
): Promise<boolean> {
  await endFamily(db, id)
  return (await wantEnd(db, { column: 'id', value: id, reason, resumableSince })) > 0
}

/**
 * Includes sessions that count as lost, because they may come back and must then be closed, and sessions that ended recently,
 * because they must not be resumed. A reason after which sessions may be resumed does not replace one that forbids it.
 */
async function wantEnd(db: Db, { column, value, reason, resumableSince }: WantedEnd): Promise<number> {
  const query = db
    .updateTable('sessions')
    .set({ end_wanted: reason })
    .where(column, '=', value)
    .where(({ or, eb }) =>
      or([eb('ended_at', 'is', null), eb('end_reason', '=', PROXY_LOST), eb('ended_at', '>=', resumableSince)]),
    )
  const isFinal = FINAL_ENDS.includes(reason)
  await query
    .$if(!isFinal, (changed) =>
      changed.where(({ or, eb }) => or([eb('end_wanted', 'is', null), eb('end_wanted', 'not in', FINAL_ENDS)])),
    )
    .execute()
  const { open } = await db
    .selectFrom('sessions')
    .select(({ fn }) => fn.countAll().as('open'))
    .where(column, '=', value)
    .where('ended_at', 'is', null)
    .executeTakeFirstOrThrow()
  return Number(open)
}

async function wantInvitedEnd(
  db: Db,
  { invitationId, reason, now }: { readonly invitationId: string; readonly reason: string; readonly now: number },
): Promise<number> {
  const came = db.selectFrom('session_options').select('session_id').where('invitation_id', '=', invitationId)
  let pending = 0
  for (const { session_id: id } of await came.orderBy('session_id').execute()) {
    if (await wantSessionEnd(db, { id, reason, resumableSince: now - RESUMABLE_MS })) pending += 1
  }
  return pending
}

async function keepMoved(db: Db, id: string): Promise<void> {
  const moved: CloseReasonName = 'moved'
  const query = db.updateTable('sessions').set({ end_wanted: null })
  await query.where('id', '=', id).where('end_wanted', '=', moved).execute()
}

async function endLost(db: Db, silentSince: number, now: number): Promise<readonly SessionRecord[]> {
  const silent = await db
    .selectFrom('sessions')
    .innerJoin('proxies', 'proxies.proxy_id', 'sessions.proxy_id')
    .select('sessions.id')
    .where('sessions.ended_at', 'is', null)
    .where('proxies.last_beat_at', '<', silentSince)
    .execute()
  return endAll(db, silent, () => ({ endedAt: now, reason: PROXY_LOST }))
}

async function forget(db: Db, endedBefore: number): Promise<number> {
  const { numDeletedRows } = await db.deleteFrom('sessions').where('ended_at', '<', endedBefore).executeTakeFirst()
  await db
    .deleteFrom('session_options')
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('sessions').select('id').whereRef('id', '=', 'session_id'))),
    )
    .execute()
  await db.deleteFrom('proxies').where('last_beat_at', '<', endedBefore).execute()
  await db
    .deleteFrom('proxy_owners')
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('proxies').select('proxy_id').whereRef('proxies.proxy_id', '=', 'proxy_owners.proxy_id'))),
    )
    .execute()
  await db
    .deleteFrom('standing_proxies')
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(selectFrom('proxies').select('proxy_id').whereRef('proxies.proxy_id', '=', 'standing_proxies.proxy_id')),
      ),
    )
    .execute()
  await forgetPorts(db, endedBefore)
  await forgetControl(db, endedBefore)
  await forgetFamilies(db)
  await forgetInvitations(db, endedBefore)
  return Number(numDeletedRows)
}

async function forgetPorts(db: Db, heldBefore: number): Promise<void> {
  await db
    .deleteFrom('port_holds')
    .where('since', '<', heldBefore)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('proxies').select('proxy_id').whereRef('proxies.proxy_id', '=', 'port_holds.proxy_id'))),
    )
    .execute()
  await db
    .deleteFrom('proxy_groups')
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('proxies').select('proxy_id').whereRef('proxies.proxy_id', '=', 'proxy_groups.proxy_id'))),
    )
    .execute()
}

/** A request is forgotten with its session, and control once no session of the console is remembered. */
async function forgetControl(db: Db, movedBefore: number): Promise<void> {
  await db
    .deleteFrom('control_requests')
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('sessions').select('id').whereRef('sessions.id', '=', 'control_requests.session_id'))),
    )
    .execute()
  await db
    .deleteFrom('console_control')
    .where('since', '<', movedBefore)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('sessions')
            .select('id')
            .whereRef('sessions.server_id', '=', 'console_control.server_id')
            .whereRef('sessions.type', '=', 'console_control.type'),
        ),
      ),
    )
    .execute()
}

async function forgetFamilies(db: Db): Promise<void> {
  await db
    .deleteFrom('session_families')
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('sessions').select('id').whereRef('sessions.id', '=', 'session_families.session_id'))),
    )
    .execute()
  await db
    .deleteFrom('ended_families')
    .where(({ not, or, exists, selectFrom }) =>
      not(
        or([
          exists(selectFrom('sessions').select('id').whereRef('sessions.id', '=', 'ended_families.family_id')),
          exists(
            selectFrom('session_families')
              .select('session_id')
              .whereRef('session_families.family_id', '=', 'ended_families.family_id'),
          ),
        ]),
      ),
    )
    .execute()
}

/** Keeps the invitations of remembered sessions, so that a session that came with one can be ended by it. */
async function forgetInvitations(db: Db, expiredBefore: number): Promise<void> {
  await db
    .deleteFrom('invitations')
    .where('expires_at', '<', expiredBefore)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('session_options').select('session_id').whereRef('invitation_id', '=', 'invitations.id'))),
    )
    .execute()
}

const reach = reaching('the store of sessions')

const noLess = (kept: ByteCounts, reported: ByteCounts): ByteCounts => ({
  bytesToClient: Math.max(kept.bytesToClient, reported.bytesToClient),
  bytesToConsole: Math.max(kept.bytesToConsole, reported.bytesToConsole),
})

const countColumns = ({ bytesToClient, bytesToConsole }: ByteCounts) => ({
  bytes_to_client: bytesToClient,
  bytes_to_console: bytesToConsole,
})

function toRow(session: NewSession, now: number): SessionRow {
  return {
    id: randomUUID(),
    server_id: session.serverId,
    server_name: session.serverName.slice(0, MAX_NAME_LENGTH),
    project_id: session.projectId,
    user_id: session.userId,
    protocol: session.protocol,
    type: session.type,
    client_address: session.clientAddress,
    proxy_id: session.proxyId,
    started_at: now,
    ended_at: null,
    end_reason: null,
    end_wanted: null,
    bytes_to_client: 0,
    bytes_to_console: 0,
    may_invite: session.mayInvite ? 1 : 0,
  }
}

const toOptionsRow = (id: string, session: NewSession): SessionOptionsRow => ({
  session_id: id,
  role: session.role ?? 'control',
  label: session.label ?? null,
  invitation_id: session.invitationId ?? null,
  token_key: session.usedTokenId ?? null,
})

type OptionColumns = Omit<SessionOptionsRow, 'session_id'>
type FoundRow = Selectable<SessionRow> & { [Column in keyof OptionColumns]: OptionColumns[Column] | null }

// Some drivers return a bigint as a number, others as text.
function fromRow(row: FoundRow): SessionRecord {
  return {
    id: row.id,
    serverId: row.server_id,
    serverName: row.server_name,
    projectId: row.project_id,
    userId: row.user_id,
    protocol: row.protocol as SessionRecord['protocol'],
    type: row.type as SessionRecord['type'],
    clientAddress: row.client_address,
    proxyId: row.proxy_id,
    startedAt: Number(row.started_at),
    endedAt: row.ended_at === null ? null : Number(row.ended_at),
    endReason: row.end_reason as SessionRecord['endReason'],
    endWanted: row.end_wanted as SessionRecord['endWanted'],
    bytesToClient: Number(row.bytes_to_client),
    bytesToConsole: Number(row.bytes_to_console),
    role: (row.role ?? 'control') as SessionRecord['role'],
    label: row.label,
    invitationId: row.invitation_id,
    usedTokenId: row.token_key,
    mayInvite: row.may_invite === 1,
  }
}
