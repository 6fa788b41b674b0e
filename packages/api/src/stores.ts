/** Opens the API's stores in one database. */
import type { Secret } from '@oriel/runtime'
import { createSqlStore } from './console-auth-tokens/sql-store.ts'
import type { ConsoleAuthTokenStore } from './console-auth-tokens/store.ts'
import { steadyClock } from './database/clock.ts'
import { openDatabase, type StoreOptions } from './database/open.ts'
import { createWriteProbe } from './database/write-probe.ts'
import { createSqlSerialPortStore } from './serial-ports/sql-store.ts'
import type { SerialPortStore } from './serial-ports/store.ts'
import type { ControlStore } from './sessions/control-store.ts'
import type { InvitationStore } from './sessions/invitation-store.ts'
import type { PortStore } from './sessions/port-store.ts'
import { createSqlControlStore } from './sessions/sql-control-store.ts'
import { createSqlInvitationStore } from './sessions/sql-invitation-store.ts'
import { createSqlPortStore } from './sessions/sql-port-store.ts'
import { createSqlSessionStore } from './sessions/sql-store.ts'
import type { SessionStore } from './sessions/store.ts'

/** The stores in one database, over one pool of connections. Disposing of it closes them. */
export interface Stores extends AsyncDisposable {
  readonly tokens: ConsoleAuthTokenStore
  readonly sessions: SessionStore
  readonly invitations: InvitationStore
  readonly serialPorts: SerialPortStore
  readonly ports: PortStore
  readonly control: ControlStore
}

/**
 * Opens the stores in the database that `name` names: `sqlite:FILE`, `sqlite::memory:`, `postgres://…` or `mysql://…`.
 * @throws ConfigError that says what to do, when it cannot be opened or written.
 * @throws StoreUnavailable when the database server does not answer within `startTimeoutMs`.
 */
export async function openStores(name: string | Secret, options: StoreOptions = {}): Promise<Stores> {
  const { now = steadyClock() } = options
  const db = await openDatabase(name, options)
  const proveWrites = createWriteProbe(db, now)
  return {
    tokens: createSqlStore(db, now, proveWrites),
    sessions: createSqlSessionStore(db, now, proveWrites),
    invitations: createSqlInvitationStore(db, now),
    serialPorts: createSqlSerialPortStore(db, now),
    ports: createSqlPortStore(db, now),
    control: createSqlControlStore(db, now),
    [Symbol.asyncDispose]: () => db.destroy(),
  }
}

/** The token store alone. Disposing of it closes its database. */
export async function openTokenStore(
  name: string | Secret,
  options: StoreOptions = {},
): Promise<ConsoleAuthTokenStore> {
  const { now = steadyClock() } = options
  const db = await openDatabase(name, options)
  return createSqlStore(db, now, createWriteProbe(db, now))
}
