/** Queries that wait at the same moment share a commit, and nothing else. */
import { randomUUID } from 'node:crypto'
import { mkdtempDisposable, rename, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { silentLogger } from '@oriel/runtime'
import { Kysely, sql } from 'kysely'
import { afterAll, expect, test } from 'vitest'
import { sqliteTarget } from '../../src/database/sqlite.ts'

interface Tables {
  readonly t: { readonly id: number }
}

const folder = await mkdtempDisposable(join(tmpdir(), 'oriel-turns-'))
afterAll(() => folder[Symbol.asyncDispose]())

const MANY = Array.from({ length: 50 }, (_, id) => id)

test('queries that wait together share a commit', async () => {
  await using opened = await openTable()
  const { db, walBytes } = opened
  const before = await walBytes()
  await Promise.all(MANY.map((id) => insert(db, id)))
  const together = (await walBytes()) - before
  for (const id of MANY) await insert(db, 100 + id)
  const oneByOne = (await walBytes()) - before - together
  // Each commit appends the changed page to the log.
  expect(together).toBeLessThan(oneByOne / 10)
  expect(await ids(db)).toHaveLength(100)
})

test('a result arrives only once other processes see it', async () => {
  await using opened = await openTable()
  const { db, other } = opened
  const seen = other.prepare('select count(*) as n from t where id = ?')
  const insertAndLook = async (id: number) => {
    await insert(db, id)
    return seen.get(id)?.n
  }
  expect(await Promise.all(MANY.map(insertAndLook))).toEqual(MANY.map(() => 1))
})

test.each([
  ['that fails', () => 'select 1', 7],
  ['at which SQLite rolls everything back', () => REFUSE, 666],
])('a query %s fails alone', async (_, trigger, bad) => {
  await using opened = await openTable()
  const { db, other } = opened
  other.exec(trigger())
  await insert(db, 7)
  const tried = [0, 1, bad, 2, 3]
  const outcomes = await Promise.allSettled([insert(db, 10), ...tried.map((id) => insert(db, id))])
  expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([true, true, true, false, true, true])
  expect(await ids(db)).toEqual([0, 1, 2, 3, 7, 10])
})

/** Unlike a violated constraint, this ends the transaction. */
const REFUSE = `create trigger refuse before insert on t when new.id = 666 begin select raise(rollback, 'no'); end`

test('queries and reads that wait for a transaction are not part of it', async () => {
  await using opened = await openTable()
  const { db } = opened
  const transaction = db.transaction().execute(async (within) => {
    await insert(within, 1)
    waiting = Promise.all([insert(db, 2), insert(db, 3), ids(db)])
    await insert(within, 4)
    throw new Error('no')
  })
  let waiting: Promise<unknown[]> | undefined
  await expect(transaction).rejects.toThrow('no')
  expect((await waiting)?.at(-1)).toEqual([2, 3])
  expect(await ids(db)).toEqual([2, 3])
})

test('queries that wait together all fail while the file is away', async () => {
  await using opened = await openTable()
  const { db, file } = opened
  await rename(file, `${file}.away`)
  for (const outcome of await Promise.allSettled([ids(db), insert(db, 1), insert(db, 2), ids(db)])) {
    expect(outcome).toMatchObject({ reason: { message: expect.stringContaining('was deleted') } })
  }
  await rename(`${file}.away`, file)
  await Promise.all([insert(db, 1), insert(db, 2)])
  expect(await ids(db)).toEqual([1, 2])
})

type Db = Kysely<Tables>

async function openTable() {
  const file = join(folder.path, `${randomUUID()}.db`)
  const db = new Kysely<Tables>({ dialect: sqliteTarget(`sqlite:${file}`).dialect({ log: silentLogger() } as never) })
  await sql`create table t (id integer primary key)`.execute(db)
  const other = new DatabaseSync(file)
  const walBytes = async () => (await stat(`${file}-wal`)).size
  return {
    ...{ db, file, other, walBytes },
    async [Symbol.asyncDispose]() {
      other.close()
      await db.destroy()
    },
  }
}

const insert = (db: Db, id: number) => db.insertInto('t').values({ id }).execute()

const ids = async (db: Db) => (await db.selectFrom('t').select('id').orderBy('id').execute()).map(({ id }) => id)
