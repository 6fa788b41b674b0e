/** Tests that a database accepts writes, for readiness. */
import { randomUUID } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Database } from './tables.ts'

/** How long a result is reused, since several probes may run at once, and each write costs disk I/O. */
const FRESH_MS = 1_000
/** The age at which rows of former replicas are deleted. */

const ABANDONED_MS = 86_400_000

/**
 * Returns a function that rejects while `db` accepts no writes: it updates a row and commits. A read would not do, because
 * reads still work after a failover and on a full disk. Each replica has its own row, since replicas on a Galera cluster
 * would conflict on a shared one.
 * @param now in milliseconds since the epoch.
 * @param elapsed in milliseconds since any moment. Default: the monotonic clock.
 */
export function createWriteProbe(
  db: Kysely<Database>,
  now: () => number,
  elapsed = () => performance.now(),
): () => Promise<void> {
  const id = randomUUID()
  let last: { readonly at: number; readonly outcome: Promise<void> } | undefined
  return function probe() {
    const at = elapsed()
    if (!last || at - last.at >= FRESH_MS) last = { at, outcome: write(db, id, now()) }
    return last.outcome
  }
}

async function write(db: Kysely<Database>, id: string, now: number): Promise<void> {
  const update = db.updateTable('write_probes').set({ written_at: now }).where('id', '=', id)
  if ((await update.executeTakeFirst()).numUpdatedRows > 0n) return
  await db
    .deleteFrom('write_probes')
    .where('written_at', '<', now - ABANDONED_MS)
    .execute()
  await db.insertInto('write_probes').values({ id, written_at: now }).execute()
}
