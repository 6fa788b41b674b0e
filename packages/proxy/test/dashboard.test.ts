/** The dashboard and the alerts in deploy/ must use only metrics and labels of the proxy. */
import { readFile } from 'node:fs/promises'
import { closeReasons, refusals } from '@oriel/contract'
import { withProcessMetrics } from '@oriel/runtime'
import { alertExprs, type Dashboard, dashboardFaults, scrapedNames, unknownIn } from '@oriel/testkit'
import * as prom from 'prom-client'
import { describe, expect, it } from 'vitest'
import { fleetMetrics } from '../src/fleet/metrics.ts'
import { createMetrics } from '../src/metrics.ts'

const deployed = (name: string) => readFile(new URL(`../../../deploy/${name}`, import.meta.url), 'utf8')
const dashboard = async () => JSON.parse(await deployed('grafana/oriel-proxy.json')) as Dashboard

/** All names in a scrape, with their labels. */
function known() {
  const registry = new prom.Registry()
  withProcessMetrics(registry)
  fleetMetrics(registry, () => 0)
  const breaker = { state: 'closed' } as const
  const own = createMetrics({ sessions: () => [], breaker, namesBreaker: breaker, budget: { maxBytes: 1 } })
  return scrapedNames([...registry.getMetricsAsArray(), ...own.registry.getMetricsAsArray()])
}

describe('deploy/grafana/oriel-proxy.json', () => {
  it('can be imported by Grafana, and has no overlapping panels', async () => {
    const it = await dashboard()
    expect(it).toMatchObject({ uid: 'oriel-proxy', title: 'Oriel proxy', schemaVersion: 39 })
    expect(dashboardFaults(it)).toEqual([])
  })

  it('uses only metrics and labels that exist', async () => {
    const { panels, templating } = await dashboard()
    const exprs = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    expect(unknownIn(exprs, known())).toEqual([])
    const variables = templating.list.map(({ query }) => (query as { query?: string }).query ?? '')
    expect(variables.filter((query) => query.includes('oriel_proxy_sessions'))).toHaveLength(2)
  })
})

describe('deploy/prometheus-alerts.yaml', () => {
  const exprs = async () => alertExprs(await deployed('prometheus-alerts.yaml'), 'oriel-proxy')

  it('uses only metrics and labels that exist', async () => {
    const found = await exprs()
    expect(found).toHaveLength(10)
    expect(unknownIn(found, known())).toEqual([])
  })

  it('uses only results that exist', async () => {
    const results = (await exprs()).flatMap((expr) =>
      [...expr.matchAll(/result=~?"([^"]+)"/g)].flatMap(([, it]) => it!.split('|')),
    )
    expect(results.length).toBeGreaterThan(2)
    for (const result of results) expect(Object.keys({ ...refusals, ...closeReasons })).toContain(result)
  })
})
