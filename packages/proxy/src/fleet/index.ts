/** `sessions.workers`: one process, or several that share the listeners. */
import cluster from 'node:cluster'
import type { SignalSource, Started } from '@oriel/runtime'
import type { ProxyConfig, proxyConfig } from '../config.ts'
import { type ProxyDeps, startProxy } from '../proxy.ts'
import { MAX_TIMER_MS } from '../session/after.ts'
import { startPrimary } from './primary.ts'
import { startWorker, WORKER_VARIABLE, WorkerSignals } from './worker.ts'

/** Set only in a process that the primary started: the variable holds the worker's number. */
const workerSignals = cluster.isWorker && WORKER_VARIABLE in process.env ? new WorkerSignals() : undefined

/** Returns the signals to run the program with: in a worker, those that its primary forwards. */
export const fleetSignals = (): SignalSource => workerSignals ?? process

/**
 * Starts the proxy in this process, or in `sessions.workers` processes. Each worker runs the same program again, and so
 * calls this function again.
 * @throws ListenError if an address cannot be bound; Error if a worker cannot start
 */
export function startFleet(
  config: ProxyConfig,
  deps: Pick<ProxyDeps, 'log' | 'pages'>,
): Promise<Started<typeof proxyConfig>> {
  if (workerSignals) return startWorker(config, deps, workerSignals)
  return config.sessions.workers > 1 ? startPrimary(config, deps.log) : startProxy(config, deps)
}

/** How long a stop may take in addition to draining. */
const STOP_SPARE_MS = 15_000

/** The deadline for the program's stop. */
export const stopDeadlineMs = ({ sessions }: ProxyConfig): number =>
  Math.min(sessions.drain_seconds * 1000 + STOP_SPARE_MS, MAX_TIMER_MS)
