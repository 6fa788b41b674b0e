import { Kysely } from 'kysely'
import { expect, test } from 'vitest'
import { sqliteTarget } from '../../src/database/sqlite.ts'
import { type Database, migrate } from '../../src/database/tables.ts'
import { createWriteProbe } from '../../src/database/write-probe.ts'

test('createWriteProbe writes at most once a second', async () => {
  const dialect = sqliteTarget('sqlite::memory:').dialect({} as never)
  const db = new Kysely<Database>({ dialect })
  await migrate(db)
  const time = { wall: 1_000_000, elapsed: 0 }
  const probe = createWriteProbe(
    db,
    () => time.wall,
    () => time.elapsed,
  )
  const written = async () =>
    (await db.selectFrom('write_probes').select('written_at').execute()).map((row) => row.written_at)
  await Promise.all([probe(), probe()])
  time.wall += 999
  time.elapsed += 999
  await probe()
  expect(await written()).toEqual([1_000_000])
  time.wall += 1
  time.elapsed += 1
  await Promise.all([probe(), probe()])
  expect(await written()).toEqual([1_001_000])
  await db.destroy()
})

test('createWriteProbe deletes rows of replicas that stopped a day ago', async () => {
  const db = new Kysely<Database>({ dialect: sqliteTarget('sqlite::memory:').dialect({} as never) })
  await migrate(db)
  const day = 86_400_000
  for (const now of [0, day, 2 * day]) await createWriteProbe(db, () => now)()
  const rows = await db.selectFrom('write_probes').select('written_at').orderBy('written_at').execute()
  expect(rows.map((row) => row.written_at)).toEqual([day, 2 * day])
  await db.destroy()
})
