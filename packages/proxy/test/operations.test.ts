/** docs/operations.md must list all metrics with their labels. */
import { readFile } from 'node:fs/promises'
import * as prom from 'prom-client'
import { expect, it } from 'vitest'
import { fleetMetrics } from '../src/fleet/metrics.ts'
import { createMetrics } from '../src/metrics.ts'

it('docs/operations.md lists every metric of the proxy with its labels, and no other', async () => {
  const text = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
  const rows = [...text.matchAll(/^\| (`oriel_(?:proxy|log)_[^|]*)\|([^|]*)\|/gm)]
  const documented = rows.flatMap(([, names = '', labels = '']) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, name]) => `${name} ${labels.trim()}`.trim()),
  )
  const fleet = new prom.Registry()
  fleetMetrics(fleet, () => 0)
  const breaker = { state: 'closed' } as const
  const own = createMetrics({ sessions: () => [], breaker, namesBreaker: breaker, budget: { maxBytes: 1 } })
  own.standingPorts(() => ({ attached: 0, detached: 0 }))
  const known = [...own.registry.getMetricsAsArray(), ...fleet.getMetricsAsArray()].map((metric) => {
    const { name, labelNames = [] } = metric as unknown as { name: string; labelNames?: string[] }
    return `${name} ${labelNames.join(', ')}`.trim()
  })
  expect(documented.sort()).toEqual(known.sort())
})
