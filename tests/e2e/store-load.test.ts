/**
 * Two replicas with one database, and two hundred concurrent clients that create tokens at one and use them at the
 * other. Expects no error, no duplicate token, and no connection beyond the limit or left open.
 *
 * `LOAD_SECONDS` is the duration, 10 by default. MariaDB gets a quarter of it, but at least the default: differences
 * from PostgreSQL appear early.
 */
import { requires } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { type DatabaseServer, startMariadb, startPostgres } from './parts/databases.ts'
import { type Replica, startReplica } from './parts/replica.ts'

const clients = 200
const poolMax = 8
const LOAD_SECONDS = Number(process.env.LOAD_SECONDS ?? 10)
/** So short that tokens expire under the load, and both replicas delete them. */
const ttlSeconds = 5
const tokens = { pool_max: poolMax, ttl_seconds: ttlSeconds, sweep_seconds: 1 }

describeLoad('postgres', startPostgres, LOAD_SECONDS)
describeLoad('mariadb', startMariadb, Math.max(10, LOAD_SECONDS / 4))

function describeLoad(
  part: 'postgres' | 'mariadb',
  startServer: () => Promise<DatabaseServer>,
  loadSeconds: number,
): void {
  const { skip, reason } = requires(part)
  describe.skipIf(skip)(`two replicas with a real ${part}${reason}`, () => {
    it(
      `serve ${clients} clients for ${loadSeconds} s`,
      async () => {
        await using server = await startServer()
        const store = await server.createDatabase()
        {
          const starting = [startReplica({ store, tokens }), startReplica({ store, tokens })] as const
          await using scope = new AsyncDisposableStack()
          const [one, other] = [scope.use(await starting[0]), scope.use(await starting[1])]
          const deadline = performance.now() + loadSeconds * 1000
          const isOver = () => performance.now() > deadline
          const running = Array.from({ length: clients }, (_, i) =>
            i % 2 ? live(one, other, isOver) : live(other, one, isOver),
          )
          const watching = mostConnections(server, store, isOver)
          await Promise.allSettled([...running, watching])
          const minted = (await Promise.all(running)).flat()
          expect(minted.length).toBeGreaterThan(clients)
          expect(new Set(minted).size).toBe(minted.length)
          expect(await watching).toBeLessThanOrEqual(2 * poolMax)
          for (const { program } of [one, other]) {
            expect(program.records.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([])
          }
        }
        await expect.poll(() => server.connections(store)).toBe(0)
      },
      (loadSeconds + 110) * 1000,
    )
  })
}

/** Runs one client: creates tokens at one replica, uses each at the other at once, and returns the tokens. */
async function live(mints: Replica, uses: Replica, isOver: () => boolean): Promise<string[]> {
  const minted: string[] = []
  while (!isOver()) {
    const askedAt = performance.now()
    const { status, token } = await mints.mint()
    expect(status).toBe(200)
    const used = await uses.use(token!)
    const mayHaveExpired = performance.now() - askedAt >= ttlSeconds * 1000
    expect(used === 404 && mayHaveExpired ? 200 : used).toBe(200)
    minted.push(token!)
  }
  return minted
}

/** Returns the highest number of simultaneous connections. */
async function mostConnections(server: DatabaseServer, url: string, isOver: () => boolean): Promise<number> {
  let most = 0
  while (!isOver()) most = Math.max(most, await server.connections(url))
  return most
}
