/** `sessions.workers`: one process, or several that share the listeners. */
import cluster from 'node:cluster'
import type { SignalSource, Started } from '@oriel/runtime'
import type { ProxyConfig, proxyConfig } from '../config.ts'
import { type ProxyDeps, startProxy } from '../proxy.ts'
import { MAX_TIMER_MS } from '../session/after.ts'
import { startPrimary } from './primary.ts'
import { startWorker, WORKER_VARIABLE, WorkerSignals } from './worker.ts'

/** Only in a process that the primary started, which also says which one it is. */
const workerSignals = cluster.isWorker && WORKER_VARIABLE in process.env ? new WorkerSignals() : undefined

/** The signals to run the program with: in a worker, those that its primary passes on. */
export const fleetSignals = (): SignalSource => workerSignals ?? process

/**
 * Starts the proxy as a program of its own: in this process, or in as many as `sessions.workers` says. The program is
 * started once more for each of them, and comes here again.
 * @throws ListenError when an address cannot be bound; Error when a worker could not start
 */
export function startFleet(
  config: ProxyConfig,
  deps: Pick<ProxyDeps, 'log' | 'pages'>,
): Promise<Started<typeof proxyConfig>> {
  if (workerSignals) return startWorker(config, deps, workerSignals)
  return config.sessions.workers > 1 ? startPrimary(config, deps.log) : startProxy(config, deps)
}

/** What a stop takes beyond draining. */
const STOP_SPARE_MS = 15_000

/** How long the program's stop may take. */
export const stopDeadlineMs = ({ sessions }: ProxyConfig): number =>
  Math.min(sessions.drain_seconds * 1000 + STOP_SPARE_MS, MAX_TIMER_MS)
