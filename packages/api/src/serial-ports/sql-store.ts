/** The store of serial ports over SQL, with the queries for all dialects. */
import type { Kysely } from 'kysely'
import { reaching } from '../database/reach.ts'
import type { Database } from '../database/tables.ts'
import { noteProxy } from '../sessions/sql-store.ts'
import type { SerialPortStore, SerialView, StandingProxy } from './store.ts'

type Db = Kysely<Database>

/**
 * Creates a store in `db`, whose tables are up to date.
 * @param now in milliseconds since the epoch.
 */
export function createSqlSerialPortStore(db: Db, now: () => number): SerialPortStore {
  return {
    stand: (proxy) => reach(stand(db, proxy, now())),
    leave: async (proxyId) => void (await reach(leave(db, proxyId))),
    standing: (silentMs) => reach(standing(db, now() - silentMs)),
    viewed: (silentMs) => reach(viewed(db, now() - silentMs)),
  }
}

async function stand(db: Db, { proxyId, group }: StandingProxy, now: number): Promise<void> {
  await noteProxy(db, proxyId, now)
  const known = db.selectFrom('standing_proxies').select('process_group').where('proxy_id', '=', proxyId)
  const row = await known.executeTakeFirst()
  if (row?.process_group === group) return
  if (row) await leave(db, proxyId)
  try {
    await db.insertInto('standing_proxies').values({ proxy_id: proxyId, process_group: group }).execute()
  } catch (error) {
    // Of two concurrent inserts, the first is enough.
    if ((await known.executeTakeFirst()) === undefined) throw error
  }
}

const leave = (db: Db, proxyId: string) => db.deleteFrom('standing_proxies').where('proxy_id', '=', proxyId).execute()

async function standing(db: Db, silentSince: number): Promise<readonly StandingProxy[]> {
  const rows = await db
    .selectFrom('standing_proxies')
    .innerJoin('proxies', 'proxies.proxy_id', 'standing_proxies.proxy_id')
    .select(['standing_proxies.proxy_id', 'process_group'])
    .where('last_beat_at', '>=', silentSince)
    .orderBy('standing_proxies.proxy_id')
    .execute()
  return rows.map(({ proxy_id, process_group }) => ({ proxyId: proxy_id, group: process_group }))
}

async function viewed(db: Db, silentSince: number): Promise<readonly SerialView[]> {
  const rows = await db
    .selectFrom('sessions')
    .innerJoin('proxies', 'proxies.proxy_id', 'sessions.proxy_id')
    .select(['server_id', 'sessions.proxy_id'])
    .where('ended_at', 'is', null)
    .where('type', '=', 'serial')
    .where('last_beat_at', '>=', silentSince)
    .orderBy('started_at')
    .orderBy('id')
    .execute()
  return rows.map(({ server_id, proxy_id }) => ({ serverId: server_id, proxyId: proxy_id }))
}

const reach = reaching('the store of serial ports')
