/** Metrics of the process itself. */
import * as prom from 'prom-client'

/** Adds CPU, memory, garbage collection and event loop delay to a registry, unless they are in it. */
export function withProcessMetrics(registry: prom.Registry): prom.Registry {
  if (!registry.getSingleMetric('process_cpu_seconds_total')) prom.collectDefaultMetrics({ register: registry })
  return registry
}
