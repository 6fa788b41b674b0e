/** The source `qemu`: each QMP socket that a glob finds is a guest, and QEMU reports the addresses of its consoles. */
import { access, constants } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Protocol } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import { SourceError, SourceUnavailable } from '../errors.ts'
import type { GuestLocation } from '../guests/guest.ts'
import { createReach, type Reach } from '../guests/reach.ts'
import { Roster, type Twin } from '../guests/roster.ts'
import type { Server } from '../server.ts'
import type { CallOptions, ConsoleAddress, SerialPort, Source } from '../source.ts'
import type { QemuSourceConfig } from './config.ts'
import { Monitor } from './monitor.ts'
import { QmpSilence } from './qmp.ts'
import { folderOf, type SocketWatch, watchSockets } from './sockets.ts'

/**
 * Creates a source of the guests whose monitors `config.qmp` finds. It keeps a connection to each monitor, follows new and
 * removed sockets, and queries QEMU again for each request for a console. Resolves after the first search.
 */
export async function createQemuSource(config: QemuSourceConfig, { log }: { readonly log: Logger }): Promise<Source> {
  const source = new QemuSource(config, log.child({ source: 'qemu', qmp: config.qmp }))
  await source.firstLook()
  return source
}

type Opening = Promise<Monitor | undefined>

class QemuSource implements Source {
  readonly name = 'qemu'
  readonly subscribe
  readonly onSerialPorts
  readonly #config: QemuSourceConfig
  readonly #log: Logger
  readonly #reach: Reach
  readonly #roster: Roster
  readonly #monitors = new Map<string, Opening>()
  /** Sockets whose last failure has been logged, so that it is logged once. */
  readonly #reported = new Map<string, string>()
  readonly #sockets: SocketWatch
  #over = false

  constructor(config: QemuSourceConfig, log: Logger) {
    this.#config = config
    this.#log = log
    this.#reach = createReach(config.host, config)
    this.#roster = new Roster({ onTwin: (twin) => this.#refuse(twin), restartMs: config.restart_seconds * 1000 })
    this.subscribe = this.#roster.subscribe.bind(this.#roster)
    this.onSerialPorts = this.#roster.onSerialPorts.bind(this.#roster)
    this.#sockets = watchSockets({
      pattern: config.qmp,
      intervalMs: config.poll_seconds * 1000,
      log,
      onLook: (sockets) => this.#follow(sockets),
    })
  }

  async firstLook(): Promise<void> {
    await this.#sockets.look()
    await Promise.all(this.#monitors.values())
  }

  async list(): Promise<readonly Server[]> {
    return this.#roster.list().map(({ guest }) => guest.server)
  }

  async find(id: string): Promise<Server | undefined> {
    return this.#roster.find(id)?.guest.server
  }

  async console({ id }: Server, protocol: Protocol, _type: unknown, _options?: CallOptions): Promise<ConsoleAddress> {
    await this.#askAgain(id)
    const found = this.#roster.find(id)
    if (!found) throw new SourceError('InstanceNotFound')
    const address = found.guest.live ? found.guest.consoles[protocol] : undefined
    if (address) return address
    const why = (await this.#monitors.get(found.location))?.unreachable[protocol] ?? 'the guest has none'
    this.#log.warn({ serverId: id, protocol, state: found.guest.server.vmState, why }, 'console is not available')
    throw new SourceError('ConsoleTypeUnavailable')
  }

  protocols({ id }: Server): readonly Protocol[] | undefined {
    return this.#roster.protocols(id)
  }

  mayRestart(id: string): boolean {
    return this.#roster.mayRestart(id)
  }

  switchedOff(id: string): Pick<Server, 'projectId'> | undefined {
    return this.#roster.switchedOff(id)
  }

  async serialPorts(): Promise<readonly SerialPort[]> {
    return this.#roster.serialPorts()
  }

  async check(): Promise<void> {
    await access(folderOf(resolve(this.#config.qmp)), constants.R_OK | constants.X_OK)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true
    this.#roster[Symbol.dispose]()
    this.#sockets[Symbol.dispose]()
    const openings = [...this.#monitors.values()]
    await Promise.all(openings.map(async (opening) => (await opening)?.[Symbol.dispose]()))
  }

  /**
   * Asks the guest that owns the id. Asks its copies only if it is no longer in charge: another guest that claims the id and
   * then hangs must not make the first one's consoles unavailable.
   * @throws SourceUnavailable when one that may be in charge does not answer
   */
  async #askAgain(id: string): Promise<void> {
    const found = this.#roster.find(id)
    if (!found) throw new SourceError('InstanceNotFound')
    await this.#askEach([found.location])
    const now = this.#roster.find(id)?.guest
    if (!now?.live || now.standIn) await this.#askEach(this.#roster.locationsOf(id))
  }

  async #askEach(locations: readonly GuestLocation[]): Promise<void> {
    const asked = await Promise.allSettled(
      locations.map(async (location) => (await this.#monitors.get(location))?.fresh()),
    )
    const silent = asked.find((each) => each.status === 'rejected' && each.reason instanceof QmpSilence)
    if (silent?.status === 'rejected') throw new SourceUnavailable(silent.reason.message, { cause: silent.reason })
  }

  #follow(sockets: ReadonlyMap<string, string>): void {
    for (const [path, identity] of sockets) {
      const location = `${path} ${identity}`
      const opening = this.#monitors.get(location)
      if (opening) void opening.then((monitor) => monitor?.fresh()).catch(() => {})
      else this.#monitors.set(location, this.#open(path, location))
    }
    for (const path of this.#reported.keys()) if (!sockets.has(path)) this.#reported.delete(path)
  }

  async #open(path: string, location: string): Opening {
    const forget = () => this.#monitors.delete(location)
    try {
      const monitor = await Monitor.open({
        path,
        config: this.#config,
        reach: this.#reach,
        log: this.#log,
        // When the source itself closes, its guests have not changed.
        onGuest: (guest) => void (this.#over || this.#roster.set(location, guest)),
        onEnd: (isQemuOver) => {
          if (this.#over) return
          if (isQemuOver) this.#roster.switchOff(location)
          else this.#roster.set(location, undefined)
        },
      })
      if (this.#over) monitor[Symbol.dispose]()
      void monitor.ended.then(forget)
      this.#reported.delete(path)
      return monitor
    } catch (cause) {
      forget()
      this.#report(path, cause)
      return undefined
    }
  }

  #report(path: string, cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause)
    if (this.#reported.get(path) === reason) return
    this.#reported.set(path, reason)
    const hint = cause instanceof QmpSilence ? 'QEMU hangs, or another program holds this monitor' : undefined
    const stale = ['ECONNREFUSED', 'ENOENT'].includes((cause as NodeJS.ErrnoException).code ?? '')
    this.#log[stale ? 'debug' : 'warn']({ path, reason, hint }, 'QMP socket gives no guest')
  }

  #refuse({ id, first, second }: Twin): void {
    const fields = { serverId: id, server: this.#roster.get(first)?.server.name, first, second }
    this.#log.warn(fields, 'a second guest claims this UUID and is refused: start each with its own -uuid')
  }
}
