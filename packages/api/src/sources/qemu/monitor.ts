/** One QMP connection, and the guest behind it. */
import type { Logger } from '@oriel/runtime'
import { projectOf } from '../guests/config.ts'
import type { Guest } from '../guests/guest.ts'
import type { Reach } from '../guests/reach.ts'
import type { QemuSourceConfig } from './config.ts'
import { QmpConnection, QmpSilence } from './qmp.ts'
import { type Condition, type Identity, queryCondition, queryIdentity } from './queries.ts'
import { type RunStateMeaning, runStates } from './run-states.ts'

export interface MonitorOptions {
  readonly path: string
  readonly config: QemuSourceConfig
  readonly reach: Reach
  readonly log: Logger
  /** Called with the guest's state after each query. */
  readonly onGuest: (guest: Guest) => void
  /** Called when the connection has ended. @param isQemuOver whether QEMU ended it, which it does when it exits */
  readonly onEnd: (isQemuOver: boolean) => void
}

/** Events after which the guest is queried again at once. The next poll notices all other changes. */
const TELLING = new Set([
  'STOP',
  'RESUME',
  'SHUTDOWN',
  'RESET',
  'SUSPEND',
  'SUSPEND_DISK',
  'WAKEUP',
  'POWERDOWN',
  'WATCHDOG',
  'BLOCK_IO_ERROR',
  'GUEST_PANICKED',
  'GUEST_CRASHLOADED',
  'MIGRATION',
])

export class Monitor implements Disposable {
  readonly #options: MonitorOptions
  readonly #qmp: QmpConnection
  readonly #identity: Identity
  readonly #foundAt = Date.now()
  #condition: Condition | undefined
  #changedAt = this.#foundAt
  #unansweredSince: number | undefined
  #asking: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  private constructor(options: MonitorOptions, qmp: QmpConnection, identity: Identity) {
    this.#options = options
    this.#qmp = qmp
    this.#identity = identity
    qmp.ended.then((reason) => {
      // Not for a socket that never had a guest: the source reports that one, once instead of at each retry.
      if (this.#condition) this.#log('info', 'guest gone', { reason: reason?.message })
      this.#options.onEnd(qmp.isClosedByQemu)
    })
  }

  /** Connects and queries the guest. @throws the errors of `QmpConnection`, and Error for a guest without a UUID. */
  static async open(options: MonitorOptions): Promise<Monitor> {
    const { path, config } = options
    // Events that arrive during the first queries are ignored: QEMU responds in order, so a later result includes the
    // change.
    let monitor: Monitor | undefined
    const onEvent = (event: string) => void (TELLING.has(event) && monitor?.fresh().catch(() => {}))
    const qmp = await QmpConnection.open(path, { timeoutMs: config.answer_timeout_ms }, onEvent)
    try {
      const identity = await queryIdentity(qmp, config.serial_chardev)
      monitor = new Monitor(options, qmp, identity)
      await monitor.fresh()
      return monitor
    } catch (cause) {
      qmp[Symbol.dispose]()
      throw cause
    }
  }

  /** Resolves when the connection ends. */
  get ended(): Promise<unknown> {
    return this.#qmp.ended
  }

  /** Consoles that the proxy cannot or must not dial, and why. */
  get unreachable(): Readonly<Record<string, string>> {
    return this.#condition?.unreachable ?? {}
  }

  /**
   * Queries QEMU again, without reusing queries from before this call.
   * @throws QmpSilence while QEMU does not respond, Error after the end of the connection
   */
  fresh(): Promise<void> {
    this.#next ??= this.#asking.then(() => {
      this.#next = undefined
      const asked = this.#ask()
      this.#asking = asked.catch(() => {})
      return asked
    })
    return this.#next
  }

  [Symbol.dispose](): void {
    this.#qmp[Symbol.dispose]()
  }

  async #ask(): Promise<void> {
    try {
      this.#take(await queryCondition(this.#qmp, this.#identity, this.#options.reach))
    } catch (cause) {
      if (cause instanceof QmpSilence) this.#takeSilence()
      else this.#qmp[Symbol.dispose]() // no QEMU, or none any more
      throw cause
    }
  }

  #take(condition: Condition): void {
    const before = this.#condition
    if (this.#unansweredSince !== undefined) this.#log('info', 'guest answers again')
    this.#unansweredSince = undefined
    this.#condition = condition
    if (before?.stateName !== condition.stateName) {
      this.#changedAt = Date.now()
      const { reason } = runStates[condition.state]
      this.#log('info', before ? 'guest changed its state' : 'guest found', { state: condition.stateName, reason })
    }
    this.#options.onGuest(this.#guest(condition))
  }

  /** Keeps the last known state of the guest, and marks its age. */
  #takeSilence(): void {
    if (this.#unansweredSince !== undefined || !this.#condition) return
    this.#unansweredSince = Date.now()
    this.#log('warn', 'guest does not answer, showing its last known state')
    this.#options.onGuest(this.#guest(this.#condition))
  }

  #guest({ state, consoles }: Condition): Guest {
    const { id, name } = this.#identity
    const { config } = this.#options
    const { vmState, taskState, standIn }: RunStateMeaning = runStates[state]
    return {
      server: {
        id,
        name,
        projectId: projectOf(name, config),
        vmState,
        taskState,
        host: config.host,
        createdAt: this.#foundAt,
        updatedAt: this.#changedAt,
        ...(this.#unansweredSince !== undefined && { unansweredSince: this.#unansweredSince }),
      },
      live: vmState !== 'stopped',
      consoles,
      ...(standIn !== undefined && { standIn }),
    }
  }

  #log(level: 'info' | 'warn', message: string, fields: object = {}): void {
    const { log, path } = this.#options
    log[level]({ serverId: this.#identity.id, server: this.#identity.name, path, ...fields }, message)
  }
}
