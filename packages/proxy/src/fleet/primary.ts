/**
 * The primary process: it relays no console itself. It starts the workers, replaces those that die, counts the limits for
 * all of them, and serves the admin listener.
 */
import cluster, { type Worker } from 'node:cluster'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createAdminListener, guardPeer, type Health, type Logger, type Started } from '@oriel/runtime'
import * as prom from 'prom-client'
import { type SessionControl, sessionRoutes } from '../admin/sessions.ts'
import { type Entrant, Limits, type Slot } from '../admit/limits.ts'
import type { ProxyConfig, proxyConfig } from '../config.ts'
import { LocalConsoles } from '../presence/local-consoles.ts'
import { sessionLimits } from '../proxy.ts'
import { Refused } from '../refused.ts'
import { randomKey } from '../resume/seal.ts'
import { OpenPages } from '../session/page-sessions.ts'
import { Calls } from './calls.ts'
import type { Figures, PrimaryAnswers, SlotReply, WorkerAnswers } from './contract.ts'
import { FleetFigures } from './figures.ts'
import { fleetMetrics } from './metrics.ts'
import { PagesOfWorker } from './page-sessions.ts'
import { type HeldPorts, PortFolder, PortsOfWorker } from './serial-ports.ts'
import { ConsolesOfWorker, InputChanges } from './shared-consoles.ts'
import { GROUP_VARIABLE, WORKER_VARIABLE } from './worker.ts'

/** A worker that ran longer than this is restarted with the first back-off; otherwise each back-off doubles. */
const STEADY_MS = 30_000
const FIRST_BACKOFF_MS = 250
const MAX_BACKOFF_MS = 30_000

/**
 * Starts `sessions.workers` processes and resolves when all accept connections.
 * @throws Error if one of them exits earlier
 */
export async function startPrimary(config: ProxyConfig, log: Logger): Promise<Started<typeof proxyConfig>> {
  await using opened = new AsyncDisposableStack()
  const fleet = new Fleet(config, log)
  const admin = config.admin && opened.use(await startAdmin(config.admin, fleet, log))
  opened.defer(() => {
    admin?.setDraining()
    admin?.release()
    return fleet.stop()
  })
  await fleet.start()
  log.info({ workers: config.sessions.workers }, 'all workers accept connections')
  const close = opened.move()
  return { reload: () => fleet.reload(), [Symbol.asyncDispose]: () => close.disposeAsync() }
}

function startAdmin({ listen, token_sha256 }: NonNullable<ProxyConfig['admin']>, fleet: Fleet, log: Logger) {
  const routes = sessionRoutes({ sessions: fleet, tokenSha256: token_sha256 })
  const notes = async () => ({ protection: await fleet.protection() })
  return createAdminListener({ listen, checks: fleet.checks, notes, metrics: () => fleet.metrics(), routes, log })
}

interface Member {
  readonly index: number
  readonly process: Worker
  readonly calls: Calls<WorkerAnswers>
  readonly slots: Map<number, Slot>
  readonly pages: PagesOfWorker
  readonly consoles: ConsolesOfWorker
  readonly ports: PortsOfWorker
  readonly startedMs: number
  /** Whether it accepts connections. */
  ready: boolean
}

class Fleet implements SessionControl {
  readonly checks: readonly Health[] = [
    { name: 'workers', check: () => this.#checkWorkers() },
    { name: 'authority', check: () => this.#checkAuthority() },
  ]
  readonly #config: ProxyConfig
  readonly #log: Logger
  readonly #limits: Limits
  readonly #pages = new OpenPages()
  readonly #consoles: LocalConsoles
  readonly #ports: HeldPorts = new Map()
  readonly #portFolder = new PortFolder()
  /** Tells oriel-api that the workers share their serial ports. */
  readonly #group = randomUUID()
  readonly #members = new Map<number, Member>()
  readonly #backoffs = new Map<number, number>()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #sharing = { changes: new InputChanges(), watching: new Set<object>() }
  readonly #figures = new FleetFigures()
  readonly #registry = new prom.Registry()
  /** Kept by the primary, so that tickets outlive the worker that issued them. */
  readonly #resumeKey = randomKey()
  readonly #deaths: prom.Counter
  #lastSlot = 0
  #stopping = false

  constructor(config: ProxyConfig, log: Logger) {
    this.#config = config
    this.#log = log
    this.#limits = new Limits(sessionLimits(config))
    this.#consoles = new LocalConsoles({ log, endSession: (id) => void this.#askAll('leaveSession', id) })
    this.#deaths = fleetMetrics(this.#registry, () => this.#ready.length)
    // Round robin, since consoles stay on their worker for hours. With 400 connections and four workers, each worker got
    // 100; when the kernel chose, 83 to 117, and that was not faster.
    cluster.schedulingPolicy = cluster.SCHED_RR
  }

  async start(): Promise<void> {
    const { workers } = this.#config.sessions
    await Promise.all(Array.from({ length: workers }, (_, index) => this.#launch(index)))
  }

  /** Stops every worker, and waits until all have exited. @throws Error if one exited with an error */
  async stop(): Promise<void> {
    this.#stopping = true
    for (const timer of this.#timers) clearTimeout(timer)
    const codes = await Promise.all([...this.#members.values()].map((member) => this.#end(member)))
    await this.#portFolder[Symbol.asyncDispose]()
    const bad = codes.filter((code) => code !== 0)
    if (bad.length > 0) throw new Error(`workers exited with ${bad.join(', ')}`)
  }

  async reload(): Promise<void> {
    await this.#askAll('reload')
  }

  async list() {
    return (await this.#askAll('sessions')).flatMap(({ value }) => (Array.isArray(value) ? value : []))
  }

  async end(id: string): Promise<boolean> {
    return (await this.#askAll('end', id)).some(({ value }) => value === true)
  }

  /** Merges the workers' reports. A worker can differ from the others for a while if Nova answered it differently. */
  async protection(): Promise<Readonly<Record<string, string>>> {
    const reported = (await this.#askAll('protection')).flatMap(({ value }) => Object.entries(value))
    const byType = Map.groupBy(reported, ([type]) => type)
    return Object.fromEntries(
      [...byType].map(([type, entries]) => [type, [...new Set(entries.map(([, text]) => text))].join(' | ')]),
    )
  }

  async metrics(): Promise<string> {
    for (const { index, value } of await this.#askAll('figures')) {
      if (!(await this.#figures.note(index, value)))
        this.#log.warn({ worker: index }, 'a worker sent malformed metrics')
    }
    return this.#figures.text((await this.#registry.getMetricsAsJSON()) as unknown as Figures)
  }

  // Start and exit of workers

  async #launch(index: number): Promise<void> {
    const process = cluster.fork({ [WORKER_VARIABLE]: String(index), [GROUP_VARIABLE]: this.#group })
    const ready = Promise.withResolvers<void>()
    const slots = new Map<number, Slot>()
    const pages = new PagesOfWorker(this.#pages)
    const consoles = new ConsolesOfWorker(this.#consoles, () => calls, this.#sharing)
    const ports = new PortsOfWorker(this.#ports, this.#portFolder)
    const calls: Calls<WorkerAnswers> = new Calls((message) => void process.send(message), {
      ready: () => ready.resolve(),
      endEarlier: (later) => void this.#askAll('endEarlier', later),
      resumeKey: () => this.#resumeKey.reveal(),
      ...this.#slotsFor(slots, (slot, by) => void calls.ask('takenOver', slot, by ?? null).catch(() => {})),
      ...pages.answers,
      ...consoles.answers,
      ...ports.answers,
    } satisfies PrimaryAnswers)
    const member: Member = {
      index,
      process,
      calls,
      slots,
      pages,
      consoles,
      ports,
      startedMs: performance.now(),
      ready: false,
    }
    this.#members.set(index, member)
    process.on(
      'message',
      guardPeer(
        (message: unknown) => calls.take(message),
        (err) => this.#log.error({ worker: index, err }, 'dropped a message from a worker'),
      ),
    )
    process.on('error', (error) => this.#log.warn({ worker: index, err: error }, 'the channel to a worker failed'))
    process.once('exit', (code, signal) => {
      ready.reject(new Error(`worker ${index} exited with ${signal ?? code} before it accepted connections`))
      this.#onExit(member, signal ?? code)
    })
    await ready.promise
    member.ready = true
  }

  #onExit(member: Member, how: number | string): void {
    const { index, calls, slots, pages, consoles, ports, startedMs, ready } = member
    calls.close()
    pages[Symbol.dispose]()
    consoles[Symbol.dispose]()
    ports[Symbol.dispose]()
    for (const slot of slots.values()) slot[Symbol.dispose]()
    this.#members.delete(index)
    void this.#figures.retire(index)
    if (this.#stopping) return
    this.#deaths.inc()
    const lost = slots.size
    const backoffMs = this.#backoff(index, ready && performance.now() - startedMs > STEADY_MS)
    this.#log.error({ worker: index, how, lost, backoffMs }, 'a worker died and is replaced')
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      // The exit handler logs the failure and schedules the next attempt.
      this.#launch(index).catch(() => {})
    }, backoffMs)
    this.#timers.add(timer)
  }

  #backoff(index: number, wasSteady: boolean): number {
    const backoffMs = wasSteady ? FIRST_BACKOFF_MS : (this.#backoffs.get(index) ?? FIRST_BACKOFF_MS)
    this.#backoffs.set(index, Math.min(backoffMs * 2, MAX_BACKOFF_MS))
    return backoffMs
  }

  async #end({ process, calls }: Member): Promise<number | string> {
    const exit = once(process, 'exit')
    calls.ask('stop').catch(() => {})
    const [code, signal] = await exit
    return signal ?? code
  }

  // Calls to workers

  get #ready(): readonly Member[] {
    return [...this.#members.values()].filter(({ ready }) => ready)
  }

  /** Returns the answers of the workers that answered, and logs the others. */
  async #askAll<K extends keyof WorkerAnswers>(name: K, ...args: Parameters<WorkerAnswers[K]>) {
    const replies = this.#ready.map(async ({ index, calls }) => {
      try {
        return [{ index, value: await calls.ask(name, ...args) }]
      } catch (error) {
        this.#log.warn({ worker: index, call: name, err: error }, 'a worker did not answer')
        return []
      }
    })
    return (await Promise.all(replies)).flat()
  }

  #checkWorkers(): void {
    if (this.#ready.length === 0) throw new Error('no worker accepts connections')
  }

  async #checkAuthority(): Promise<void> {
    const answers = await this.#askAll('health')
    const failing = answers.map(({ value }) => value).filter((value) => value !== null)
    if (failing.length === answers.length) throw new Error(failing[0] ?? 'no worker answers')
  }

  // Calls from workers

  #slotsFor(
    slots: Map<number, Slot>,
    onTakenOver: (slot: number, by?: string) => void,
  ): Pick<PrimaryAnswers, 'enter' | 'opened' | 'leave' | 'forbidResume'> {
    return {
      enter: (entrant) => this.#enter(slots, entrant, onTakenOver),
      opened: (slot) => slots.get(slot)?.opened(),
      forbidResume: (slot) => slots.get(slot)?.forbidResume(),
      leave: (slot) => {
        slots.get(slot)?.[Symbol.dispose]()
        slots.delete(slot)
      },
    }
  }

  #enter(slots: Map<number, Slot>, entrant: Entrant, onTakenOver: (slot: number, by?: string) => void): SlotReply {
    try {
      this.#lastSlot += 1
      const number = this.#lastSlot
      const slot = this.#limits.enter(entrant)
      slots.set(number, slot)
      slot.onTakenOver((by) => onTakenOver(number, by))
      return { slot: number }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return { refusal: error.refusal, detail: error.message }
    }
  }
}
