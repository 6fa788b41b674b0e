/** The store of held ports over SQL, with the queries for all dialects. */
import { randomUUID } from 'node:crypto'
import type { Kysely, Selectable } from 'kysely'
import type { PortHoldRow } from '../database/port-tables.ts'
import { reaching } from '../database/reach.ts'
import type { Database } from '../database/tables.ts'
import type { PortClaim, PortHolder, PortState, PortStore, YieldingHold } from './port-store.ts'
import { familyOf, openOf } from './sql-store.ts'
import type { SessionRecord } from './store.ts'

type Db = Kysely<Database>
type Row = Selectable<PortHoldRow>

/** How often a claim is tried again after another proxy's claim came first. */
const MAX_TRIES = 5

/**
 * Creates a store in `db`, whose tables are up to date.
 * @param now in milliseconds since the epoch.
 */
export function createSqlPortStore(db: Db, now: () => number): PortStore {
  return {
    group: (proxyId, group) => reach(setGroup(db, proxyId, group)),
    hold: (claim) => reach(hold(db, { ...claim, now: now() })),
    find: (proxyId, holdId, silentMs) => reach(findHold(db, { proxyId, holdId, silentSince: now() - silentMs })),
    release: (proxyId, holdId) => reach(release(db, { proxyId, holdId, now: now() })),
    yielding: (proxyId) => reach(yielding(db, proxyId)),
  }
}

/** Of two concurrent inserts, the second updates. */
async function setGroup(db: Db, proxyId: string, group: string): Promise<void> {
  const update = db.updateTable('proxy_groups').set({ process_group: group }).where('proxy_id', '=', proxyId)
  const isKnown = async () =>
    (await db.selectFrom('proxy_groups').select('proxy_id').where('proxy_id', '=', proxyId).executeTakeFirst()) !==
    undefined
  if (!(await isKnown())) {
    try {
      await db.insertInto('proxy_groups').values({ proxy_id: proxyId, process_group: group }).execute()
      return
    } catch (error) {
      if (!(await isKnown())) throw error
    }
  }
  await update.execute()
}

/** Returns the proxies that share their ports with this one, and itself. */
export async function groupOf(db: Db, proxyId: string): Promise<readonly string[]> {
  const own = db.selectFrom('proxy_groups').select('process_group').where('proxy_id', '=', proxyId)
  const rows = await db.selectFrom('proxy_groups').select('proxy_id').where('process_group', 'in', own).execute()
  return [...new Set([proxyId, ...rows.map((row) => row.proxy_id)])]
}

interface Claim extends PortClaim {
  readonly now: number
}

async function hold(db: Db, claim: Claim): Promise<PortState> {
  for (let tries = 1; ; tries += 1) {
    const row = await rowOf(db, claim)
    const state = row ? await holdKnown(db, claim, row) : await holdNew(db, claim)
    if (state) return state
    if (tries === MAX_TRIES) throw new Error('the hold of a port kept changing')
  }
}

async function rowOf(db: Db, claim: PortClaim): Promise<Row | undefined> {
  const query = db.selectFrom('port_holds').selectAll().where('server_id', '=', claim.serverId)
  return query.where('type', '=', heldOf(claim)).executeTakeFirst()
}

/** A hold is for the connection to a console, or for the right of the one session that controls it. */
const EXCLUSIVE = 'exclusive '
const heldOf = ({ type, exclusive }: PortClaim) => (exclusive ? `${EXCLUSIVE}${type}` : type)

/** Returns `undefined` if another claim came first. */
async function holdNew(db: Db, claim: Claim): Promise<PortState | undefined> {
  const { hold_id, ...changes } = holdOf(claim)
  const row = { server_id: claim.serverId, type: heldOf(claim), hold_id, ...changes, ...nobodyYields }
  try {
    await db.insertInto('port_holds').values(row).execute()
  } catch (error) {
    if (await rowOf(db, claim)) return undefined
    throw error
  }
  return { holdId: hold_id, ready: true }
}

const holdOf = ({ proxyId, sessionId, now }: Claim) => ({
  hold_id: randomUUID(),
  proxy_id: proxyId,
  since: now,
  standing: sessionId === null ? 1 : 0,
})

const nobodyYields = { yielding_id: null, yielding_proxy_id: null }

/** Returns `undefined` if another claim came first. */
async function holdKnown(db: Db, claim: Claim, row: Row): Promise<PortState | undefined> {
  const resumedAt = await resumptionOf(db, claim)
  const silentSince = claim.now - (resumedAt === undefined ? claim.silentMs : claim.resumedSilentMs)
  const isYielding = row.yielding_proxy_id !== null && (await isReporting(db, row.yielding_proxy_id, silentSince))
  if ((await groupOf(db, row.proxy_id)).includes(claim.proxyId))
    return change(db, row, { claim, earlier: isYielding ? earlierOf(row) : nobodyYields, ready: !isYielding })
  const earlier = isYielding ? earlierOf(row) : { yielding_id: row.hold_id, yielding_proxy_id: row.proxy_id }
  // If it reports again, as after an outage of the API, it must close its connection.
  if (!(await isReporting(db, row.proxy_id, silentSince)))
    return change(db, row, { claim, earlier, ready: !isYielding })
  const holder = await holderOf(db, row)
  const isFree = await disturbsNobody(db, claim, holder)
  if (!isFree && (!claim.takeOver || isYielding)) {
    const mayBeLost = resumedAt !== undefined && !(await isReporting(db, row.proxy_id, resumedAt + 1))
    return { heldBy: holder, mayBeLost }
  }
  // A holder without other viewers has lost its connection, or is about to close it: the console serves the claim next.
  const ready = isFree && !row.standing && !isYielding
  return change(db, row, { claim, earlier, ready, ...(isFree ? {} : { takenFrom: holder }) })
}

const earlierOf = ({ yielding_id, yielding_proxy_id }: Row) => ({ yielding_id, yielding_proxy_id })

interface Change {
  readonly claim: Claim
  /** The earlier hold whose proxy has still to close its connection. */
  readonly earlier: Pick<Row, 'yielding_id' | 'yielding_proxy_id'>
  readonly ready: boolean
  readonly takenFrom?: PortHolder
}

/** Compares the hold again, so that of two concurrent claims only one succeeds. */
async function change(db: Db, row: Row, { claim, earlier, ...rest }: Change): Promise<PortState | undefined> {
  const next = { ...holdOf(claim), ...earlier }
  const query = db.updateTable('port_holds').set(next).where('server_id', '=', row.server_id)
  const { numUpdatedRows } = await query
    .where('type', '=', row.type)
    .where('hold_id', '=', row.hold_id)
    .executeTakeFirst()
  return numUpdatedRows > 0n ? { holdId: next.hold_id, ...rest } : undefined
}

/** Returns when the claim's session began, if it resumes another. */
async function resumptionOf(db: Db, { sessionId }: Claim): Promise<number | undefined> {
  if (sessionId === null) return undefined
  const query = db
    .selectFrom('session_families')
    .innerJoin('sessions', 'sessions.id', 'session_id')
    .select('started_at')
    .where('session_id', '=', sessionId)
  const row = await query.executeTakeFirst()
  return row && Number(row.started_at)
}

async function isReporting(db: Db, proxyId: string, silentSince: number): Promise<boolean> {
  const query = db.selectFrom('proxies').select('proxy_id').where('proxy_id', '=', proxyId)
  return (await query.where('last_beat_at', '>=', silentSince).executeTakeFirst()) !== undefined
}

async function holderOf(db: Db, row: Row): Promise<PortHolder> {
  const since = Number(row.since)
  const sessions = await sessionsAt(db, row, await groupOf(db, row.proxy_id))
  return {
    ...{ proxyId: row.proxy_id, since },
    sessions: row.type.startsWith(EXCLUSIVE) ? claimantOf(sessions, since) : sessions,
  }
}

/**
 * Returns the session with the right to control a console: the last one before the claim. Earlier ones have ended, and later ones
 * were refused, which their proxy may still have to report.
 */
function claimantOf(sessions: readonly SessionRecord[], since: number): readonly SessionRecord[] {
  const claimant = sessions.findLast(({ startedAt }) => startedAt <= since)
  return claimant ? [claimant] : sessions
}

/** Returns the sessions that a hold is for. */
async function sessionsAt(db: Db, { server_id: serverId, type: held }: Row, proxyIds: readonly string[]) {
  if (!held.startsWith(EXCLUSIVE)) return openOf(db, { serverId, type: held, proxyIds })
  const sessions = await openOf(db, { serverId, type: held.slice(EXCLUSIVE.length), proxyIds })
  return sessions.filter(({ role }) => role === 'control')
}

/** Whether the holder's sessions are all earlier sessions of the viewer who claims the console. */
async function disturbsNobody(db: Db, { sessionId }: Claim, { sessions }: PortHolder): Promise<boolean> {
  if (sessions.length === 0 || sessionId === null) return sessions.length === 0
  const family = await familyOf(db, sessionId)
  for (const { id } of sessions) if ((await familyOf(db, id)) !== family) return false
  return true
}

interface HoldName {
  readonly proxyId: string
  readonly holdId: string
}

async function findHold(
  db: Db,
  { proxyId, holdId, silentSince }: HoldName & { readonly silentSince: number },
): Promise<PortState | undefined> {
  const query = db.selectFrom('port_holds').selectAll().where('hold_id', '=', holdId).where('proxy_id', '=', proxyId)
  const row = await query.executeTakeFirst()
  if (!row) return undefined
  const { yielding_proxy_id } = row
  return { holdId, ready: yielding_proxy_id === null || !(await isReporting(db, yielding_proxy_id, silentSince)) }
}

/** Each statement changes the row only as long as it is as that statement expects it. */
async function release(db: Db, { proxyId, holdId, now }: HoldName & { readonly now: number }): Promise<void> {
  const closed = db.updateTable('port_holds').set(nobodyYields).where('yielding_id', '=', holdId)
  await closed.where('yielding_proxy_id', '=', proxyId).execute()
  const own = db.deleteFrom('port_holds').where('hold_id', '=', holdId).where('proxy_id', '=', proxyId)
  await own.where('yielding_id', 'is', null).execute()
  await giveBack(db, { proxyId, holdId, now })
}

async function giveBack(db: Db, { proxyId, holdId, now }: HoldName & { readonly now: number }): Promise<void> {
  const query = db.selectFrom('port_holds').selectAll().where('hold_id', '=', holdId).where('proxy_id', '=', proxyId)
  const row = await query.executeTakeFirst()
  const { yielding_id: hold_id, yielding_proxy_id: proxy_id } = row ?? nobodyYields
  if (hold_id === null || proxy_id === null) return
  await db
    .updateTable('port_holds')
    .set({ hold_id, proxy_id, since: now, ...nobodyYields })
    .where('hold_id', '=', holdId)
    .where('yielding_id', '=', hold_id)
    .execute()
}

async function yielding(db: Db, proxyId: string): Promise<readonly YieldingHold[]> {
  const query = db
    .selectFrom('port_holds')
    .selectAll()
    .where('yielding_proxy_id', 'in', await groupOf(db, proxyId))
  return Promise.all(
    (await query.execute()).map(async (row) => ({
      holdId: row.yielding_id!,
      proxyId: row.yielding_proxy_id!,
      sessions: await sessionsAt(db, row, [proxyId]),
    })),
  )
}

const reach = reaching('the store of sessions')
