/** The consoles that the tools use. */
import type { Screen, Serial } from '@oriel/console'
import type { Role } from '../cloud/create-console.ts'
import { findServer, type Server } from '../cloud/servers.ts'
import type { Cloud } from '../cloud/sign-in.ts'
import { openScreenOf } from '../screen/open.ts'
import { openSerialOf } from '../serial/open.ts'
import { Pool, type PoolOptions } from './pool.ts'

/** Opens the screens and serial consoles of servers, and keeps them open while they are used. */
export class Consoles implements AsyncDisposable {
  readonly cloud: Cloud
  readonly #role: Role
  readonly #screens: Pool<Screen>
  readonly #serials: Pool<Serial>

  /** @param role `watch`: the proxy drops all input, if the API has such consoles */
  constructor(cloud: Cloud, role: Role, options?: PoolOptions) {
    this.cloud = cloud
    this.#role = role
    this.#screens = new Pool(options)
    this.#serials = new Pool(options)
  }

  /** Calls `work` with the screen of the server with this name or id. @throws Failure, or an error of the console */
  async onScreen<R>(wanted: string, work: (screen: Screen, server: Server) => Promise<R>): Promise<R> {
    const server = await findServer(this.cloud.client, wanted)
    const open = (signal: AbortSignal) =>
      openScreenOf(this.cloud, server, { role: this.#role, reconnect: true, signal })
    return this.#screens.use(server.id, open, (screen) => work(screen, server))
  }

  /** Calls `work` with the serial console of the server with this name or id. @throws as {@link Consoles.onScreen} */
  async onSerial<R>(wanted: string, work: (serial: Serial, server: Server) => Promise<R>): Promise<R> {
    const server = await findServer(this.cloud.client, wanted)
    const open = (signal: AbortSignal) => openSerialOf(this.cloud, server, { role: this.#role, signal })
    return this.#serials.use(server.id, open, (serial) => work(serial, server))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#screens.close(), this.#serials.close()])
  }
}
