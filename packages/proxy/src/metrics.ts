/** Metrics for Prometheus: counts and durations. No label names a token, a user, an instance or an address. */
import type { RefusalName } from '@oriel/contract'
import * as prom from 'prom-client'
import type { Authority } from './authority/authority.ts'
import type { Breaker } from './authority/breaker.ts'
import { Refused } from './refused.ts'
import type { BufferBudget } from './session/buffer-budget.ts'
import type { OpenSession, SessionFacts } from './session/open-session.ts'

/** A step towards a console that waits for another service. */
export type TimedStep = 'authority' | 'names' | 'validation' | 'dial' | 'handshake'

/** The outcome of a move for a console. `followed` and `failed` come after `arrived`, where sessions go on at the other host. */
export type MoveResult = 'arrived' | 'followed' | 'failed' | 'stayed' | 'lost'

/** Counts the bytes of every relayed chunk. */
export interface ByteCount {
  toClient(bytes: number): void
  toConsole(bytes: number): void
}

type KindOfSession = Pick<SessionFacts, 'type' | 'role'>

export interface ProxyMetrics {
  readonly registry: prom.Registry
  /** Counts a connect by its result. */
  admission(result: RefusalName | 'admitted'): void
  sessionOpened(facts: KindOfSession): void
  sessionEnded(facts: KindOfSession, reason: string): void
  /** Counts a console whose machine has moved, or was being migrated. */
  moved(type: string, result: MoveResult): void
  /** Returns the counter of a console type, which its sessions share. */
  counter(type: string): ByteCount
  /** Adds the gauge of the serial ports that the proxy stays attached to. */
  standingPorts(counts: () => { readonly attached: number; readonly detached: number }): void
  /** Runs `work` and records its duration and result. */
  timed<T>(step: TimedStep, type: string, work: () => Promise<T>): Promise<T>
}

/** Where gauges are read at each scrape. */
export interface MetricSources {
  readonly sessions: () => readonly OpenSession[]
  readonly budget?: Pick<BufferBudget, 'maxBytes'>
  readonly breaker?: Authority['breaker']
  readonly namesBreaker?: Authority['namesBreaker']
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export function createMetrics(sources: MetricSources): ProxyMetrics {
  const registry = new prom.Registry()
  const registers = [registry]
  const open = new prom.Gauge({
    name: 'oriel_proxy_sessions',
    help: 'Open sessions, by the role that the token has.',
    labelNames: ['type', 'role'],
    registers,
  })
  const ended = new prom.Counter({
    name: 'oriel_proxy_sessions_ended_total',
    help: 'Sessions that ended, by close reason.',
    labelNames: ['type', 'reason'],
    registers,
  })
  const admissions = new prom.Counter({
    name: 'oriel_proxy_admissions_total',
    help: 'Connects, by result: admitted, or the name of the refusal.',
    labelNames: ['result'],
    registers,
  })
  const moves = new prom.Counter({
    name: 'oriel_proxy_moves_total',
    help: 'Consoles whose machine moved, or was being migrated, by outcome.',
    labelNames: ['type', 'result'],
    registers,
  })
  bufferedGauge(registers, sources)
  if (sources.budget) bufferedLimitGauge(registers, sources.budget)
  if (sources.breaker) breakerGauge(registers, 'authority', sources.breaker)
  if (sources.namesBreaker) breakerGauge(registers, 'names', sources.namesBreaker)
  return {
    registry,
    admission: (result) => admissions.inc({ result }),
    sessionOpened: ({ type, role }) => open.inc({ type, role }),
    sessionEnded: ({ type, role }, reason) => {
      open.dec({ type, role })
      ended.inc({ type, reason })
    },
    moved: (type, result) => moves.inc({ type, result }),
    counter: byteCounters(registers),
    standingPorts: (counts) => standingGauge(registers, counts),
    timed: stopwatches(registers),
  }
}

function stopwatches(registers: prom.Registry[]): ProxyMetrics['timed'] {
  const histogram = (step: TimedStep, help: string) =>
    new prom.Histogram({
      name: `oriel_proxy_${step}_seconds`,
      help,
      labelNames: ['type', 'result'],
      buckets: SECONDS,
      registers,
    })
  const histograms = {
    authority: histogram('authority', 'Token look-ups at the authority.'),
    names: histogram('names', "Look-ups of the instance's names at the authority."),
    validation: histogram('validation', 'Confirmations by the authority that a console belongs to its instance.'),
    dial: histogram('dial', 'Connecting to the hypervisor.'),
    handshake: histogram('handshake', "The hypervisor's handshake, before the client gets a response."),
  } satisfies Record<TimedStep, unknown>
  return async (step, type, work) => {
    const stop = histograms[step].startTimer({ type })
    try {
      const result = await work()
      stop({ result: 'ok' })
      return result
    } catch (error) {
      // Errors other than refusals come from the abort signal: the client left before the console was open.
      stop({ result: error instanceof Refused ? error.refusal : 'left' })
      throw error
    }
  }
}

/** Adds to plain numbers, which become metrics only at a scrape, because the relay counts every chunk. */
class ByteCounter {
  bytesToClient = 0
  bytesToConsole = 0

  toClient(bytes: number): void {
    this.bytesToClient += bytes
  }

  toConsole(bytes: number): void {
    this.bytesToConsole += bytes
  }
}

/** Returns the same counter to all sessions of a type. */
function byteCounters(registers: prom.Registry[]): ProxyMetrics['counter'] {
  const counters = new Map<string, ByteCounter>()
  new prom.Counter({
    name: 'oriel_proxy_relayed_bytes_total',
    help: 'Bytes of console protocols, without WebSocket framing.',
    labelNames: ['type', 'direction'],
    registers,
    collect() {
      this.reset()
      for (const [type, { bytesToClient, bytesToConsole }] of counters) {
        this.inc({ type, direction: 'to_client' }, bytesToClient)
        this.inc({ type, direction: 'to_console' }, bytesToConsole)
      }
    },
  })
  return (type) => {
    const counter = counters.get(type) ?? new ByteCounter()
    counters.set(type, counter)
    return counter
  }
}

function bufferedGauge(registers: prom.Registry[], { sessions }: MetricSources): void {
  new prom.Gauge({
    name: 'oriel_proxy_buffered_bytes',
    help: 'Memory that bytes on their way to clients occupy.',
    labelNames: ['type'],
    registers,
    collect() {
      this.reset()
      for (const { view, bufferedBytes } of sessions()) this.inc({ type: view.type }, bufferedBytes ?? 0)
    },
  })
}

function standingGauge(registers: prom.Registry[], counts: Parameters<ProxyMetrics['standingPorts']>[0]): void {
  new prom.Gauge({
    name: 'oriel_proxy_standing_ports',
    help: 'Serial ports that the proxy stays attached to, by whether they are open at the moment.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(counts())) this.set({ state }, count)
    },
  })
}

function bufferedLimitGauge(registers: prom.Registry[], { maxBytes }: Pick<BufferBudget, 'maxBytes'>): void {
  const help = 'The limit of oriel_proxy_buffered_bytes: sessions.max_buffered_mib.'
  new prom.Gauge({ name: 'oriel_proxy_buffered_limit_bytes', help, registers }).set(maxBytes)
}

const STATES = ['closed', 'open', 'trial'] as const
const breakers = {
  authority:
    'The circuit breaker before the authority: 1 for its present state. Open: connects are refused without a request to the authority.',
  names: "The circuit breaker before instances' names: 1 for its present state. Open: names are not requested.",
} as const

function breakerGauge(registers: prom.Registry[], of: keyof typeof breakers, breaker: Pick<Breaker, 'state'>): void {
  new prom.Gauge({
    name: `oriel_proxy_${of}_breaker`,
    help: breakers[of],
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of STATES) this.set({ state }, breaker.state === state ? 1 : 0)
    },
  })
}
