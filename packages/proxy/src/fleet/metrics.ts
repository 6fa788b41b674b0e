/** The primary's own metrics. */
import { withLogMetrics } from '@oriel/runtime'
import * as prom from 'prom-client'

/** Registers the fleet's own metrics. Returns the counter of workers that died. */
export function fleetMetrics(registry: prom.Registry, running: () => number): prom.Counter {
  const registers = [withLogMetrics(registry)]
  new prom.Gauge({
    name: 'oriel_proxy_workers',
    help: 'Workers that accept connections.',
    registers,
    collect() {
      this.set(running())
    },
  })
  return new prom.Counter({ name: 'oriel_proxy_worker_deaths_total', help: 'Workers that died.', registers })
}
