/** Metrics of the process itself. */
import * as prom from 'prom-client'
import { lostTexts } from './output.ts'

/** Adds CPU, memory, garbage collection, event loop delay and lost log lines to a registry that does not have them yet. */
export function withProcessMetrics(registry: prom.Registry): prom.Registry {
  if (!registry.getSingleMetric('process_cpu_seconds_total')) prom.collectDefaultMetrics({ register: registry })
  return withLogMetrics(registry)
}

const LINES_LOST = 'oriel_log_lines_lost_total'

/** Adds the count of lost log lines to a registry that does not have it yet. */
export function withLogMetrics(registry: prom.Registry): prom.Registry {
  if (registry.getSingleMetric(LINES_LOST)) return registry
  new prom.Counter({
    name: LINES_LOST,
    help: 'Log lines that were dropped while the log could not be written, because of a full disk or a stalled reader.',
    registers: [registry],
    collect() {
      this.reset()
      this.inc(lostTexts())
    },
  })
  return registry
}
