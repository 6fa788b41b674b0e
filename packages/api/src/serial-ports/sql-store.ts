/** The store of serial ports over SQL, with the queries for all dialects. */
import { randomUUID } from 'node:crypto'
import type { Kysely } from 'kysely'
import { reaching } from '../database/reach.ts'
import type { Database } from '../database/tables.ts'
import { noteProxy } from '../sessions/sql-store.ts'
import { ASK_MS, type LogAsk, type SerialPortStore, type SerialView, type StandingProxy } from './store.ts'

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
    askLog: (serverId) => reach(askLog(db, serverId, now())),
    askedLogs: () => reach(askedLogs(db, now())),
    isAsked: (ask) => reach(isAsked(db, ask)),
    answerLog: (ask, log) => reach(answerLog(db, ask, log)),
    takeLog: (ask) => reach(takeLog(db, ask)),
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

async function askLog(db: Db, serverId: string, now: number): Promise<LogAsk> {
  await db
    .deleteFrom('serial_logs')
    .where('asked_at', '<', now - ASK_MS)
    .execute()
  const mine = { server_id: serverId, ask_id: randomUUID(), asked_at: now, log: null }
  const open = db.selectFrom('serial_logs').select('ask_id').where('server_id', '=', serverId)
  // Another caller's answer does not count: it may be older than this question.
  await db.deleteFrom('serial_logs').where('server_id', '=', serverId).where('log', 'is not', null).execute()
  const known = await open.executeTakeFirst()
  if (known) return { serverId, askId: known.ask_id }
  try {
    await db.insertInto('serial_logs').values(mine).execute()
    return { serverId, askId: mine.ask_id }
  } catch (error) {
    const other = await open.executeTakeFirst()
    if (!other) throw error
    return { serverId, askId: other.ask_id }
  }
}

async function askedLogs(db: Db, now: number): Promise<readonly LogAsk[]> {
  const rows = await db
    .selectFrom('serial_logs')
    .select(['server_id', 'ask_id'])
    .where('log', 'is', null)
    .where('asked_at', '>=', now - ASK_MS)
    .orderBy('server_id')
    .execute()
  return rows.map(({ server_id, ask_id }) => ({ serverId: server_id, askId: ask_id }))
}

async function isAsked(db: Db, { serverId, askId }: LogAsk): Promise<boolean> {
  const query = db.selectFrom('serial_logs').select('server_id').where('server_id', '=', serverId)
  return (await query.where('ask_id', '=', askId).executeTakeFirst()) !== undefined
}

async function answerLog(db: Db, { serverId, askId }: LogAsk, log: string): Promise<boolean> {
  const query = db.updateTable('serial_logs').set({ log }).where('server_id', '=', serverId).where('ask_id', '=', askId)
  return (await query.where('log', 'is', null).executeTakeFirst()).numUpdatedRows > 0n
}

async function takeLog(db: Db, { serverId, askId }: LogAsk): Promise<string | undefined> {
  const query = db.selectFrom('serial_logs').select('log').where('server_id', '=', serverId).where('ask_id', '=', askId)
  const log = (await query.executeTakeFirst())?.log ?? undefined
  if (log === undefined) return undefined
  await db.deleteFrom('serial_logs').where('server_id', '=', serverId).where('ask_id', '=', askId).execute()
  return log
}

const reach = reaching('the store of serial ports')
