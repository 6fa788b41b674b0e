/** Readiness: whether the parts of a program work at present. */
import type { Logger } from './log.ts'

/** A part of a program with a readiness check. */
export interface Health {
  /** Shown to every client of `/readyz`; names no host, path or user. */
  readonly name: string
  /** Throws or rejects when the part is not ready. `signal` aborts when the deadline has passed. */
  check(signal?: AbortSignal): Promise<void> | void
}

/** The result that `/readyz` shows. Only the log has the reason of a failure. */
export type CheckState = 'ok' | 'failing' | 'timed out'

export interface Readiness {
  readonly ready: boolean
  readonly checks: Record<string, CheckState>
}

export interface ReadinessOptions {
  /** How long one check may take. Default: 2000. */
  readonly deadlineMs?: number
  /** Logs each change of a check's state. */
  readonly log?: Logger | undefined
}

/**
 * Returns a function that runs all checks at once. It joins a check that still runs from an earlier call instead of
 * starting it again, so that probes cannot pile up behind a part that hangs.
 */
export function readiness(checks: readonly Health[], options: ReadinessOptions = {}): () => Promise<Readiness> {
  const probes = checks.map((health) => probe(health, options))
  return async () => {
    const states = await Promise.all(probes.map(async (run, index) => [checks[index]!.name, await run()] as const))
    return { ready: states.every(([, state]) => state === 'ok'), checks: Object.fromEntries(states) }
  }
}

function probe(health: Health, { deadlineMs = 2_000, log }: ReadinessOptions): () => Promise<CheckState> {
  let running: Promise<unknown> | undefined
  let last: CheckState = 'ok'
  return async () => {
    const deadline = AbortSignal.timeout(deadlineMs)
    running ??= settled(health, deadline).finally(() => {
      running = undefined
    })
    const outcome = await Promise.race([running, elapsed(deadline)])
    const state = outcome === undefined ? 'ok' : outcome === LATE ? 'timed out' : 'failing'
    if (state !== last) report(log, health.name, state, outcome)
    last = state
    return state
  }
}

const LATE = Symbol('late')

/** Returns `undefined` if the check passes, `LATE` if it takes longer than the deadline, else its error. */
async function settled(health: Health, signal: AbortSignal): Promise<unknown> {
  try {
    await health.check(signal)
    return undefined
  } catch (error) {
    return signal.aborted ? LATE : (error ?? new Error('the check failed without an error'))
  }
}

function elapsed(signal: AbortSignal): Promise<typeof LATE> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(LATE), { once: true })
  })
}

function report(log: Logger | undefined, check: string, state: CheckState, outcome: unknown): void {
  if (state === 'ok') log?.info({ check }, 'readiness check passes again')
  else log?.warn({ check, state, err: outcome === LATE ? undefined : outcome }, 'readiness check fails')
}
