/** The store of control over SQL, with the queries for all dialects. */
import { consoleTypes } from '@oriel/contract'
import type { Kysely, Selectable } from 'kysely'
import type { ConsoleControlRow } from '../database/control-tables.ts'
import { reaching } from '../database/reach.ts'
import type { Database } from '../database/tables.ts'
import type { ConsoleControl, ConsoleName, ControlMove, ControlStore } from './control-store.ts'
import { groupOf } from './sql-port-store.ts'
import { openOf } from './sql-store.ts'
import type { SessionRecord } from './store.ts'

type Db = Kysely<Database>
type Row = Selectable<ConsoleControlRow>

/** How often a move is tried again after another one came first. */
const MAX_TRIES = 5

/** The types whose input proxies can withhold, so that sessions share control. */
const CONTROLLED = Object.entries(consoleTypes).flatMap(([type, { protocol }]) =>
  protocol === 'vnc' || protocol === 'serial' ? [type] : [],
)

/**
 * Creates a store in `db`, whose tables are up to date.
 * @param now in milliseconds since the epoch.
 */
export function createSqlControlStore(db: Db, now: () => number): ControlStore {
  return {
    shared: (proxyId, silentMs) => reach(shared(db, proxyId, now() - silentMs)),
    sharesAny: (proxyId, silentMs) => reach(sharesAny(db, proxyId, now() - silentMs)),
    show: (proxyId, console) => reach(showAt(db, proxyId, console)),
    move: (move) => reach(moveControl(db, { ...move, now: now() })),
    request: (session, wants) => reach(request(db, session, { wants, now: now() })),
    applied: (proxyId, consoles) => reach(applied(db, proxyId, consoles)),
  }
}

async function shared(db: Db, proxyId: string, silentSince: number): Promise<readonly ConsoleControl[]> {
  const proxyIds = await groupOf(db, proxyId)
  if (await areAlone(db, proxyIds, silentSince)) return []
  const consoles = await sharedOf(db, proxyIds).execute()
  const shown = consoles.map(({ server_id: serverId, type }) =>
    show(db, proxyIds, { serverId, type: type as ConsoleName['type'] }),
  )
  return Promise.all(shown)
}

async function sharesAny(db: Db, proxyId: string, silentSince: number): Promise<boolean> {
  const proxyIds = await groupOf(db, proxyId)
  if (await areAlone(db, proxyIds, silentSince)) return false
  return (await sharedOf(db, proxyIds).limit(1).executeTakeFirst()) !== undefined
}

/** Whether this is the only proxy that reports, so that no query of the sessions is needed. */
async function areAlone(db: Db, proxyIds: readonly string[], silentSince: number): Promise<boolean> {
  const others = db.selectFrom('proxies').select('proxy_id').where('last_beat_at', '>=', silentSince)
  return (await others.where('proxy_id', 'not in', proxyIds).limit(1).executeTakeFirst()) === undefined
}

const sharedOf = (db: Db, proxyIds: readonly string[]) =>
  db
    .selectFrom('sessions as own')
    .select(['own.server_id', 'own.type'])
    .distinct()
    .where('own.proxy_id', 'in', proxyIds)
    .where('own.ended_at', 'is', null)
    .where('own.type', 'in', CONTROLLED)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('sessions as other')
          .select('other.id')
          .whereRef('other.server_id', '=', 'own.server_id')
          .whereRef('other.type', '=', 'own.type')
          .where('other.ended_at', 'is', null)
          .where('other.proxy_id', 'not in', proxyIds),
      ),
    )
    .orderBy('own.server_id')
    .orderBy('own.type')

async function showAt(db: Db, proxyId: string, console: ConsoleName): Promise<ConsoleControl> {
  return show(db, await groupOf(db, proxyId), console)
}

async function show(db: Db, proxyIds: readonly string[], { serverId, type }: ConsoleName): Promise<ConsoleControl> {
  const sessions = await openOf(db, { serverId, type })
  const isOpen = (id: string | null) => id !== null && sessions.some((session) => session.id === id)
  const row = await rowOf(db, { serverId, type })
  const requests = await requestsOf(db, { serverId, type })
  return {
    ...{ serverId, type, revision: row?.revision ?? 0 },
    elsewhere: sessions.filter(({ proxyId }) => !proxyIds.includes(proxyId)),
    heldBy: heldBy(row, sessions)?.id ?? null,
    ready: !row || !isOpen(row.yielding_id),
    requestedBy: requests.filter(isOpen),
  }
}

/** Finds the holder among the open sessions: one that has ended, or whose proxy is lost, has no control. */
const heldBy = (row: Row | undefined, sessions: readonly SessionRecord[]) =>
  sessions.find(({ id }) => id === row?.session_id)

const rowOf = (db: Db, { serverId, type }: ConsoleName): Promise<Row | undefined> =>
  db
    .selectFrom('console_control')
    .selectAll()
    .where('server_id', '=', serverId)
    .where('type', '=', type)
    .executeTakeFirst()

async function requestsOf(db: Db, { serverId, type }: ConsoleName): Promise<readonly string[]> {
  const query = db.selectFrom('control_requests').select('session_id').where('server_id', '=', serverId)
  const rows = await query.where('type', '=', type).orderBy('since').orderBy('session_id').execute()
  return rows.map(({ session_id }) => session_id)
}

type Move = ControlMove & { readonly now: number }

async function moveControl(db: Db, move: Move): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    if (await tryToMove(db, move)) return
    if (tries === MAX_TRIES) throw new Error('control of a console kept changing')
  }
}

/**
 * Returns `false` if another move came first, so that this one has to be tried again. Returns `true` if control has moved, and if
 * the move changes nothing or is not allowed.
 */
async function tryToMove(db: Db, { session, from, to, now }: Move): Promise<boolean> {
  const { serverId, type } = session
  const sessions = await openOf(db, { serverId, type })
  const row = await rowOf(db, { serverId, type })
  const holder = heldBy(row, sessions)
  const target = sessions.find(({ id }) => id === to)
  if (holder?.id === target?.id || (to !== null && !target)) return true
  if (holder && !(await isOfSameProxy(db, holder, session)) && !mayTakeFrom(holder, { session, from, to })) return true
  const earlier = sessions.find(({ id }) => id === row?.yielding_id)
  const yields = target && (await yielding(db, earlier ?? holder, target))
  const next = { session_id: to, since: now, yielding_id: yields?.id ?? null }
  if (!(await change(db, { serverId, type }, row, next))) return false
  const haveControl = sessions.filter(({ id, role }) => (to === null ? role === 'control' : id === to))
  for (const { id } of haveControl) await forgetRequest(db, id)
  return true
}

const isOfSameProxy = async (db: Db, one: SessionRecord, { proxyId }: SessionRecord) =>
  (await groupOf(db, proxyId)).includes(one.proxyId)

/**
 * Whether a move may take control from a session at another proxy: only for the session itself, and for an invited one only from
 * an invited one or a watcher. Each proxy checks this for its own pages; the API repeats it, because a proxy may be compromised.
 */
function mayTakeFrom(holder: SessionRecord, { session, from, to }: ControlMove): boolean {
  if (holder.id !== from || to !== session.id) return false
  return session.invitationId === null || holder.invitationId !== null || holder.role === 'watch'
}

/** Returns the session that has still to yield: one at the proxy of `target` need not, since that proxy knows of the move. */
async function yielding(db: Db, holder: SessionRecord | undefined, target: SessionRecord) {
  return holder && !(await isOfSameProxy(db, holder, target)) ? holder : undefined
}

type Next = Pick<Row, 'session_id' | 'since' | 'yielding_id'>

/**
 * Compares the revision again, so that of two concurrent moves only one succeeds. Compares the yielding session as well: once it
 * has yielded, the session that waited for it may send input, and must itself yield to the next one.
 */
async function change(db: Db, name: ConsoleName, row: Row | undefined, next: Next): Promise<boolean> {
  if (!row) return insert(db, name, next)
  const query = db.updateTable('console_control').set({ ...next, revision: row.revision + 1 })
  const { numUpdatedRows } = await query
    .where('server_id', '=', name.serverId)
    .where('type', '=', name.type)
    .where('revision', '=', row.revision)
    .where('yielding_id', row.yielding_id === null ? 'is' : '=', row.yielding_id)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

async function insert(db: Db, { serverId, type }: ConsoleName, next: Next): Promise<boolean> {
  try {
    const row = { server_id: serverId, type, revision: 1, ...next }
    await db.insertInto('console_control').values(row).execute()
    return true
  } catch (error) {
    if (await rowOf(db, { serverId, type })) return false
    throw error
  }
}

async function request(
  db: Db,
  { id, serverId, type }: SessionRecord,
  { wants, now }: { readonly wants: boolean; readonly now: number },
): Promise<void> {
  if (!wants) return forgetRequest(db, id)
  const isKnown = async () => (await requestsOf(db, { serverId, type })).includes(id)
  if (await isKnown()) return
  try {
    await db.insertInto('control_requests').values({ session_id: id, server_id: serverId, type, since: now }).execute()
  } catch (error) {
    // Of two concurrent inserts, the first is enough.
    if (!(await isKnown())) throw error
  }
}

const forgetRequest = async (db: Db, sessionId: string) =>
  void (await db.deleteFrom('control_requests').where('session_id', '=', sessionId).execute())

async function applied(
  db: Db,
  proxyId: string,
  consoles: readonly Pick<ConsoleControl, 'serverId' | 'type' | 'revision'>[],
): Promise<readonly string[]> {
  const proxyIds = await groupOf(db, proxyId)
  const served: string[] = []
  for (const { serverId, type, revision } of consoles) {
    const query = db
      .updateTable('console_control')
      .set({ yielding_id: null })
      .where('server_id', '=', serverId)
      .where('type', '=', type)
      .where('revision', '=', revision)
      .where('yielding_id', 'in', ownSessions(db, proxyIds))
    if ((await query.executeTakeFirst()).numUpdatedRows > 0n) served.push(serverId)
  }
  return served
}

const ownSessions = (db: Db, proxyIds: readonly string[]) =>
  db.selectFrom('sessions').select('id').where('proxy_id', 'in', proxyIds)

const reach = reaching('the store of sessions')
