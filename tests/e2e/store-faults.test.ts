/**
 * Faults of real database servers. No token that the API returned with 200 is lost before its expiry, and none is valid
 * after it. While the store is down the API answers 503, and it needs no restart when the store is back.
 */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openTokenStore } from '@oriel/api'
import { grant } from '@oriel/api/test/token-store-suite'
import {
  type LogRecord,
  type Requirement,
  requirement,
  requires,
  scriptedServer,
  temporaryFolder,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  canMount,
  type DatabaseServer,
  type DatabaseServerOptions,
  moved,
  smallDisk,
  startMariadb,
  startPostgres,
} from './parts/databases.ts'
import { startGate } from './parts/gate.ts'
import { type Minted, type Replica, startReplica } from './parts/replica.ts'
import { BLOCKED, sqliteHold } from './parts/sqlite-hold.ts'

const clients = 20
const mount = () => requirement('a disk of its own', canMount(), 'run as root where disks may be mounted')
const fakeTimeLibrary = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find(existsSync)

describeServer('postgres', startPostgres)
describeServer('mariadb', startMariadb)

function describeServer(
  part: 'postgres' | 'mariadb',
  startServer: (options?: DatabaseServerOptions) => Promise<DatabaseServer>,
): void {
  const { skip, reason } = requires(part)
  describe.skipIf(skip)(`a real ${part}${reason}`, () => {
    const parts = new AsyncDisposableStack()
    let server: DatabaseServer
    beforeAll(async () => {
      server = parts.use(await startServer())
    })
    afterAll(() => parts.disposeAsync())

    const count = async (url: string) =>
      Number((await server.query(url, 'select count(*) as n from console_auth_tokens'))[0]!.n)

    it('keeps returned tokens when the API is killed before a response, and lets the other tokens expire', async () => {
      const url = await server.createDatabase()
      await using gate = await startGate(server.port)
      await using first = await startReplica({ store: moved(url, { port: gate.port }), tokens: { ttl_seconds: 3600 } })
      const answered = await minted(first)
      gate.close()
      const unanswered = first.mint().catch(() => undefined)
      await expect.poll(() => count(url)).toBe(2)
      await gate.held()
      await first.kill()
      expect(await unanswered).toBeUndefined()
      await using second = await startReplica({ store: url })
      expect(await second.use(answered)).toBe(200)
      await using later = await openTokenStore(url, { now: () => Date.now() + 3_601_000 })
      expect(await later.sweep()).toBe(2)
    })

    it.for([
      ['is restarted', 'stop'],
      ['is killed', 'kill'],
    ] as const)(
      'loses no returned token when the server %s under load, and recovers without a restart',
      async ([, end]) => {
        const url = await server.createDatabase()
        await using api = await startReplica({ store: url })
        await using load = startLoad(api)
        await load.untilMinted(100)
        await server[end]()
        await expect.poll(() => api.ready()).toBe(503)
        await load.untilRefused(clients)
        await server.start()
        await load.untilMinted(load.tokens.length + 100)
        await load.stop()
        expect(load.refusals.filter(({ status, retryAfter }) => status !== 503 || !Number(retryAfter))).toEqual([])
        for (const token of load.tokens) expect(await api.use(token)).toBe(200)
        expect(await api.ready()).toBe(200)
        await expect.poll(() => server.connections(url)).toBeLessThanOrEqual(10)
      },
    )

    it('answers 503 within its deadlines while the server does not respond, and recovers when it does', async () => {
      const url = await server.createDatabase()
      await using gate = await startGate(server.port)
      const tokens = { statement_timeout_ms: 1000, pool_max: 2 }
      await using api = await startReplica({ store: moved(url, { port: gate.port }), tokens })
      const token = await minted(api)
      gate.close()
      const refused = await Promise.all(Array.from({ length: 6 }, () => api.mint()))
      expect(refused.map(({ status }) => status)).toEqual(Array(6).fill(503))
      expect(await api.ready()).toBe(503)
      gate.open()
      await expect.poll(() => api.use(token)).toBe(200)
      await minted(api)
    })

    it('cancels a statement at its deadline, and keeps its connections', async () => {
      const url = await server.createDatabase()
      await using store = await openTokenStore(url, { statementTimeoutMs: 1000, poolMax: 3 })
      const { token } = await store.authorize(grant())
      {
        await using _lock = await server.lock(url, 'console_auth_tokens')
        const finds = await Promise.allSettled([1, 2, 3].map(() => store.find(token)))
        expect(finds.map(({ status }) => status)).toEqual(Array(3).fill('rejected'))
      }
      expect(await store.find(token)).toMatchObject({ userId: 'alice' })
      await expect.poll(() => server.connections(url)).toBeLessThanOrEqual(3)
    })

    it('is unready while the server is read-only, and connects to the new primary', async () => {
      await using former = await startServer()
      await using primary = await startServer()
      const url = await former.createDatabase('oriel')
      await using _migrated = await openTokenStore(await primary.createDatabase('oriel'))
      await using gate = await startGate(former.port)
      await using api = await startReplica({ store: moved(url, { port: gate.port }) })
      await Promise.all(Array.from({ length: 30 }, () => minted(api)))
      await former.becomeReadOnly()
      await expect.poll(() => api.ready()).toBe(503)
      await api.program.waitForLog(isUnready(/the database is read-only/))
      expect(await api.mint()).toMatchObject({ status: 503, retryAfter: expect.any(String) })
      gate.lead(primary.port)
      await expect.poll(() => api.ready()).toBe(200)
      // All ten earlier connections led to the former primary. The first error closed all of them.
      await Promise.all(Array.from({ length: 30 }, () => minted(api)))
    })

    it('starts before its database, and listens when the database has started', async () => {
      const url = await server.createDatabase()
      await server.stop()
      await using api = await startReplica({ store: url, unready: true })
      const { store } = await api.program.waitForLog(({ msg }) => msg === 'waiting for the database')
      expect(store).toMatch(/database oriel_\w+ at 127\.0\.0\.1:\d+$/)
      await server.start()
      await api.program.waitForLog(({ msg }) => msg === 'listening')
      await minted(api)
    })

    it('waits at its start while the server is read-only', async () => {
      await using replica = await startServer()
      const store = await replica.createDatabase()
      await replica.becomeReadOnly()
      await using api = await startReplica({ store, unready: true })
      const { err } = await api.program.waitForLog(({ msg }) => msg === 'waiting for the database')
      expect(JSON.stringify(err)).toMatch(/read-only/)
      await replica.becomeWritable()
      await api.program.waitForLog(({ msg }) => msg === 'listening')
      await minted(api)
    })

    it('stops at once when it gets SIGTERM while it waits for its database', async () => {
      const url = await server.createDatabase()
      await server.stop()
      await using api = await startReplica({ store: url, unready: true })
      await api.program.waitForLog(({ msg }) => msg === 'waiting for the database')
      expect(await api.program.stop()).toEqual({ code: 0, signal: null })
      await server.start()
    })
  })

  const needs = skip ? { skip, reason } : mount()
  describe.skipIf(needs.skip)(`a real ${part} on a small disk${needs.reason}`, () => {
    it('answers 503 while the disk is full, loses no token, and recovers when there is space', async () => {
      await using disk = await smallDisk(200)
      await using server = await startServer({ folder: disk.path })
      const url = await server.createDatabase()
      await using api = await startReplica({ store: url, tokens: { statement_timeout_ms: 1000 } })
      await fullDisk(api, disk, {
        // Some servers exit when they cannot write their log. Then an operator must restart them.
        repair: async () => {
          if ((await api.ready()) !== 200) await server.stop().then(server.start)
        },
      })
    })
  })
}

describe('SQLite', () => {
  it('keeps all returned tokens when the API is killed under load', async () => {
    await using folder = await temporaryFolder()
    const store = `sqlite:${join(folder.path, 'oriel.db')}`
    await using first = await startReplica({ store })
    await using load = startLoad(first)
    await load.untilMinted(200)
    await first.kill()
    await load.stop()
    await using second = await startReplica({ store })
    for (const token of load.tokens) expect(await second.use(token)).toBe(200)
  })

  it('keeps returned tokens when the API is killed before a response, and lets the other tokens expire', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'oriel.db')
    const store = `sqlite:${file}`
    const hold = sqliteHold(folder.path)
    await using first = await startReplica({ store, tokens: { ttl_seconds: 3600 }, env: hold.env })
    const answered = await minted(first)
    await hold.at('after', /insert into .console_auth_tokens/)
    const unanswered = first.mint().catch(() => undefined)
    await first.program.waitForLog(({ msg }) => msg === BLOCKED)
    await first.kill()
    expect(await unanswered).toBeUndefined()
    await using second = await startReplica({ store })
    expect(await second.use(answered)).toBe(200)
    await using later = await openTokenStore(store, { now: () => Date.now() + 3_601_000 })
    expect(await later.sweep()).toBe(2)
  })

  const { skip, reason } = mount()
  it.skipIf(skip)(
    `answers 503 while the disk is full, loses no token, and recovers when there is space${reason}`,
    async () => {
      await using disk = await smallDisk(20)
      await using api = await startReplica({ store: `sqlite:${join(disk.path, 'oriel.db')}` })
      await fullDisk(api, disk, {
        whileFull: async () => {
          await expect.poll(() => api.ready()).toBe(503)
          await api.program.waitForLog(isUnready(/the database's disk is full/))
        },
      })
      await expect.poll(() => api.ready()).toBe(200)
    },
  )
})

it('the API exits with 2 and prints the setting for a pooler that refuses a start-up parameter', async () => {
  await using pooler = await scriptedServer(async (peer) => {
    const fields = Buffer.from(
      ['SFATAL', 'C08P01', 'Munsupported startup parameter: statement_timeout', '', ''].join('\0'),
    )
    const head = Buffer.from([0x45, 0, 0, 0, 0])
    head.writeUInt32BE(fields.length + 4, 1)
    await peer.read(8)
    await peer.send(Buffer.concat([head, fields]))
    peer.end()
  })
  await using api = await startReplica({ store: `postgres://oriel:x@127.0.0.1:${pooler.port}/oriel`, unready: true })
  expect(await api.program.exited).toEqual({ code: 2, signal: null })
  expect(api.program.stderr).toContain('tokens.store: cannot use PostgreSQL database oriel')
  expect(api.program.stderr).toContain('set ignore_startup_parameters = statement_timeout')
})

const clockFaker: Requirement = requirement(
  'faketime',
  fakeTimeLibrary !== undefined,
  'run tests/install-debian-packages',
)
describe.skipIf(clockFaker.skip)(`the API with a clock that is set back${clockFaker.reason}`, () => {
  it('keeps the lifetime of tokens in SQLite', async () => {
    await using folder = await temporaryFolder()
    await setClockBack(`sqlite:${join(folder.path, 'oriel.db')}`)
  })

  for (const [part, startServer] of [
    ['postgres', startPostgres],
    ['mariadb', startMariadb],
  ] as const) {
    const { skip, reason } = requires(part)
    it.skipIf(skip)(`keeps the lifetime of tokens in ${part}${reason}`, async () => {
      await using server = await startServer()
      await setClockBack(await server.createDatabase())
    })
  }

  /** Sets the clock of the API back by an hour while `store` contains valid tokens. */
  async function setClockBack(store: string): Promise<void> {
    await using folder = await temporaryFolder()
    const clock = join(folder.path, 'clock')
    await writeFile(clock, '+0')
    const ttlSeconds = 5
    const replica = () =>
      startReplica({
        store,
        tokens: { ttl_seconds: ttlSeconds },
        env: {
          LD_PRELOAD: fakeTimeLibrary,
          FAKETIME_TIMESTAMP_FILE: clock,
          FAKETIME_NO_CACHE: '1',
          // The monotonic clock must not be changed: the system guarantees that it never goes back.
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        },
      })
    await using first = await replica()
    const bornBefore = performance.now()
    const before = await minted(first)
    await writeFile(clock, '-3600')
    expect(await first.use(before)).toBe(200)
    const bornAfter = performance.now()
    const after = await minted(first)
    expect(await first.use(after)).toBe(200)
    // Must expire after its lifetime, neither an hour later nor earlier.
    await expect.poll(() => first.use(before), { timeout: 60_000 }).toBe(404)
    expect(performance.now() - bornBefore).toBeGreaterThan(ttlSeconds * 1000 - 10)
    await expect.poll(() => first.use(after), { timeout: 60_000 }).toBe(404)
    expect(performance.now() - bornAfter).toBeGreaterThan(ttlSeconds * 1000 - 10)
    const last = await minted(first)
    await first.kill()
    await using second = await replica()
    expect(await second.use(last)).toBe(404)
    expect((await readFile(clock, 'utf8')).trim()).toBe('-3600')
    expect(await second.use(await minted(second))).toBe(200)
  }
})

/** Fills the disk of the API's store under load, and checks that the API recovers. */
async function fullDisk(
  api: Replica,
  disk: { fill(): Promise<void>; free(): Promise<void> },
  { whileFull = async () => {}, repair = async () => {} },
) {
  const first = await minted(api)
  await using load = startLoad(api)
  await load.untilMinted(50)
  await disk.fill()
  await load.untilRefused(clients)
  await load.stop()
  expect(load.refusals.filter(({ status, retryAfter }) => status !== 503 || !Number(retryAfter))).toEqual([])
  await whileFull()
  await disk.free()
  await repair()
  await expect.poll(async () => (await api.mint()).status, { timeout: 30_000 }).toBe(200)
  for (const token of [first, ...load.tokens]) expect(await api.use(token)).toBe(200)
}

const isUnready = (why: RegExp) => (record: LogRecord) =>
  record.msg === 'readiness check fails' && record.check === 'tokens' && why.test(JSON.stringify(record.err))

async function minted(api: Replica): Promise<string> {
  const { status, token } = await api.mint()
  expect(status).toBe(200)
  return token!
}

interface Load extends AsyncDisposable {
  /** The tokens that the API returned with 200. */
  readonly tokens: readonly string[]
  readonly refusals: readonly Minted[]
  untilMinted(tokens: number): Promise<void>
  untilRefused(times: number): Promise<void>
  /** Resolves when every pending request has its response or has failed. */
  stop(): Promise<void>
}

/** Clients that create tokens continuously. A refused client waits briefly before it retries. */
function startLoad(api: Replica): Load {
  const tokens: string[] = []
  const refusals: Minted[] = []
  let isOver = false
  const client = async () => {
    while (!isOver) {
      const answer = await api.mint().catch(() => undefined)
      if (!answer) return
      if (answer.status === 200) tokens.push(answer.token!)
      else refusals.push(answer)
      if (answer.status !== 200) await sleep(50)
    }
  }
  const running = Promise.all(Array.from({ length: clients }, client))
  const stop = async () => {
    isOver = true
    await running
  }
  const waiting = { timeout: 60_000 }
  return {
    ...{ tokens, refusals, stop },
    untilMinted: (count) => expect.poll(() => tokens.length, waiting).toBeGreaterThanOrEqual(count),
    untilRefused: (count) => expect.poll(() => refusals.length, waiting).toBeGreaterThanOrEqual(count),
    [Symbol.asyncDispose]: stop,
  }
}
