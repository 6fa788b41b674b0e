/**
 * Control of consoles that several proxies have open, at oriel-api. Reports moves of control and requests for it. A request waits
 * at the API only while sessions of other proxies have one of this proxy's consoles open.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { consoleRoles, type SharedConsole } from '@oriel/contract'
import { deadline, type Logger } from '@oriel/runtime'
import type { OrielOperations } from '@oriel/sdk'
import type { ConsoleElsewhere, ControlStep, ElsewhereListener } from '../presence/elsewhere.ts'
import type { Participant } from '../presence/shared-consoles.ts'
import type { SharedControl } from './authority.ts'
import type { Beats } from './beats.ts'
import { isAboutOne, isUnknown } from './verdict.ts'

export interface ControlWatchOptions {
  /** Its deadline for `awaitSharedConsoles` must allow the time for which the API waits. */
  readonly oriel: Pick<OrielOperations, 'awaitSharedConsoles' | 'moveControl'>
  readonly proxyId: string
  readonly beats: () => Pick<Beats, 'intervalMs' | 'reportedMs' | 'soon'>
  readonly log: Logger
  /** The pause after a failed request, in milliseconds. Default: 1000. */
  readonly retryMs?: number
}

const RETRY_MS = 1_000
/** Without an answer for as many heartbeats, this proxy decides alone: as many as the API waits for a silent proxy. */
const MISSED_BEATS = 3
/** The bounds of the time that the API waits for a change. */
const [MIN_WAIT_SECONDS, MAX_WAIT_SECONDS] = [1, 25]
/** The deadline of a request that waits, unless three heartbeats are shorter. */
export const PATIENT_MS = 60_000

export class ControlWatch implements SharedControl, AsyncDisposable {
  readonly #options: ControlWatchOptions
  readonly #closing = new AbortController()
  /** The consoles in admissions since the last request began. Its answer may be older. */
  #learned = new Map<string, ConsoleElsewhere>()
  #listener: ElsewhereListener | undefined
  #running: Promise<void> | undefined

  constructor(options: ControlWatchOptions) {
    this.#options = options
  }

  subscribe(listener: ElsewhereListener): void {
    this.#listener = listener
  }

  async ask(sessionId: string, step: ControlStep): Promise<ConsoleElsewhere | undefined> {
    const { oriel, proxyId } = this.#options
    const body = { session_id: sessionId, ...step }
    try {
      const { console } = await oriel.moveControl({ proxy_id: proxyId, body }, { signal: this.#closing.signal })
      const state = toElsewhere(console)
      if (state && state.participants.length > 0) this.watch()
      return state
    } catch (error) {
      // An older API does not know control. A session that is not open there any more ends with the next heartbeat.
      if (isUnknown(error) || isAboutOne(error)) return undefined
      throw error
    }
  }

  /** Takes the console that an admission describes, before its session opens it. */
  async admitted(console: SharedConsole | undefined): Promise<void> {
    const state = console && toElsewhere(console)
    if (!state) return
    this.#learned.set(keyOf(state), state)
    this.watch()
    try {
      await this.#listener?.learn(state)
    } catch (err) {
      this.#options.log.debug({ err }, 'the console of an admission was not applied; the next answer has it')
    }
  }

  /** Begins to wait for changes at the API, until no console of this proxy is open elsewhere. */
  watch(): void {
    if (!this.#listener || this.#closing.signal.aborted) return
    this.#running ??= this.#run(this.#listener, this.#closing.signal)
      .catch((err) => this.#options.log.error({ err }, 'waiting for changes of control failed'))
      .finally(() => {
        this.#running = undefined
      })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the proxy is closing'))
    await this.#running
  }

  async #run(listener: ElsewhereListener, signal: AbortSignal): Promise<void> {
    let version: string | undefined
    let failedMs: number | undefined
    let isAlone = false
    while (!signal.aborted) {
      this.#learned = new Map()
      const dueMs = performance.now() + (version === undefined ? 0 : this.#waitSeconds * 1000)
      const isReported = failedMs === undefined || this.#options.beats().reportedMs >= failedMs
      try {
        const answer = await this.#request(version, signal)
        if (!isReported) this.#reportFirst()
        const states = this.#withLearned(answer.consoles)
        failedMs = undefined
        if (answer.version !== version) await listener.show(states)
        if (isAlone) this.#options.log.info('the authority answers again about control of consoles')
        isAlone = false
        // Anything learned meanwhile may be missing in the answer.
        version = this.#learned.size > 0 ? undefined : answer.version
        if (states.length === 0 && this.#learned.size === 0) return
      } catch (err) {
        if (signal.aborted) return
        version = undefined
        failedMs ??= Math.min(performance.now(), dueMs)
        const isOverdue = performance.now() - failedMs >= this.#aloneAfterMs
        if (isOverdue && !isAlone) await this.#decideAlone(listener, err)
        isAlone ||= isOverdue
        await delay(this.#options.retryMs ?? RETRY_MS, undefined, { signal }).catch(() => {})
      }
    }
  }

  /**
   * Rejects an answer that the API gave before it had a report of this proxy since the failure. By then it may count the sessions
   * here as lost, and answers that no console is shared: then sessions would get control that is held at another proxy.
   */
  #reportFirst(): never {
    this.#options.beats().soon()
    throw new Error('the authority answers, but this proxy has still to report its sessions')
  }

  get #aloneAfterMs(): number {
    return MISSED_BEATS * this.#options.beats().intervalMs
  }

  get #waitSeconds(): number {
    const seconds = Math.floor((this.#options.beats().intervalMs * (MISSED_BEATS - 1)) / 1000)
    return Math.min(Math.max(seconds, MIN_WAIT_SECONDS), MAX_WAIT_SECONDS)
  }

  async #request(version: string | undefined, signal: AbortSignal) {
    const body = version === undefined ? {} : { version, wait_seconds: this.#waitSeconds }
    using limit = deadline(Math.min(Math.max(this.#aloneAfterMs, 1000), PATIENT_MS), signal)
    return await this.#options.oriel.awaitSharedConsoles(
      { proxy_id: this.#options.proxyId, body },
      { signal: limit.signal },
    )
  }

  /** Skips malformed entries: the client does not validate the items of lists. */
  #withLearned(consoles: readonly SharedConsole[]): readonly ConsoleElsewhere[] {
    const states = consoles.flatMap((console) => toElsewhere(console) ?? [])
    const known = new Set(states.map(keyOf))
    return [...states, ...[...this.#learned.values()].filter((state) => !known.has(keyOf(state)))]
  }

  async #decideAlone(listener: ElsewhereListener, err: unknown): Promise<void> {
    this.#options.log.warn(
      { err },
      'the authority does not answer about control of consoles, so this proxy decides alone',
    )
    await listener.show(undefined)
  }
}

const keyOf = ({ instance, type }: ConsoleElsewhere) => `${type} ${instance}`

/** Returns `undefined` for a console without its server, type or revision. */
function toElsewhere(console: Partial<SharedConsole> | undefined): ConsoleElsewhere | undefined {
  const { server_id: instance, type, revision, participants, held_by, ready, requested_by } = console ?? {}
  if (typeof instance !== 'string' || typeof type !== 'string' || !Number.isInteger(revision)) return undefined
  return {
    ...{ instance, type, revision: revision! },
    participants: (Array.isArray(participants) ? participants : []).flatMap(toParticipant),
    heldBy: typeof held_by === 'string' ? held_by : null,
    ready: ready === true,
    requestedBy: (Array.isArray(requested_by) ? requested_by : []).filter((id) => typeof id === 'string'),
  }
}

function toParticipant(raw: SharedConsole['participants'][number] | null): Participant[] {
  const { id, role, label, since, invited } = raw ?? {}
  if (typeof id !== 'string' || !role || !consoleRoles.includes(role)) return []
  const sinceMs = Date.parse(since ?? '')
  return [
    {
      ...{ id, role, sinceMs: Number.isNaN(sinceMs) ? 0 : sinceMs },
      ...(typeof label === 'string' && { label }),
      ...(invited === true && { invited }),
    },
  ]
}
