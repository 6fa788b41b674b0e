/** The consoles that the tools use. */
import { ConsoleRefused, type Screen, type Serial } from '@oriel/console'
import type { Role } from '../cloud/create-console.ts'
import { findServer, type Server } from '../cloud/servers.ts'
import type { Cloud } from '../cloud/sign-in.ts'
import { echoed, say } from '../output.ts'
import { openScreenOf } from '../screen/open.ts'
import { openSerialOf } from '../serial/open.ts'
import { Pool, type PoolOptions } from './pool.ts'

/** Opens the screens and serial consoles of servers, and keeps them open while they are used. */
export class Consoles implements AsyncDisposable {
  readonly cloud: Cloud
  readonly #role: Role
  readonly #screens: Pool<Screen>
  readonly #serials: Pool<Serial>

  /** @param role `watch`: the proxy drops all input, if it and the API have such consoles */
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
      this.#open(server, (role) => openScreenOf(this.cloud, server, { role, reconnect: true, signal }))
    return this.#screens.use(server.id, open, (screen) => work(screen, server))
  }

  /** Calls `work` with the serial console of the server with this name or id. @throws as {@link Consoles.onScreen} */
  async onSerial<R>(wanted: string, work: (serial: Serial, server: Server) => Promise<R>): Promise<R> {
    const server = await findServer(this.cloud.client, wanted)
    const open = (signal: AbortSignal) =>
      this.#open(server, (role) => openSerialOf(this.cloud, server, { role, signal }))
    return this.#serials.use(server.id, open, (serial) => work(serial, server))
  }

  /** A proxy with `authority.kind = "nova"` refuses the tokens of the role `watch` as unknown. */
  async #open<T>({ name }: Server, open: (role: Role) => Promise<T>): Promise<T> {
    try {
      return await open(this.#role)
    } catch (error) {
      const lacksRole = error instanceof ConsoleRefused && error.refusal === 'unknown_token'
      if (!lacksRole || this.#role === 'control') throw error
      say(`the proxy has no consoles whose input it drops; that of ${echoed(name)} is a usual one`)
      return open('control')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#screens.close(), this.#serials.close()])
  }
}
