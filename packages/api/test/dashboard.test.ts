/** The dashboard and the alerts in deploy/ must use only metrics, labels and routes of the API. */
import { readFile } from 'node:fs/promises'
import { extensionRoutes } from '@oriel/contract'
import { withProcessMetrics } from '@oriel/runtime'
import { alertExprs, type Dashboard, dashboardFaults, scrapedNames, unknownIn } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { createApiMetrics } from '../src/index.ts'

const deployed = (name: string) => readFile(new URL(`../../../deploy/${name}`, import.meta.url), 'utf8')
const dashboard = JSON.parse(await deployed('grafana/oriel-api.json')) as Dashboard
const alerts = alertExprs(await deployed('prometheus-alerts.yaml'), 'oriel-api')
const panels = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))

/** All names in a scrape, with their labels. */
function known() {
  const metrics = createApiMetrics()
  metrics.sources(async () => [])
  return scrapedNames(withProcessMetrics(metrics.registry).getMetricsAsArray())
}

it('the dashboard can be imported by Grafana, and each of its panels has a place and a unit', () => {
  expect(dashboard).toMatchObject({ uid: 'oriel-api', title: 'Oriel API', schemaVersion: 39 })
  expect(dashboardFaults(dashboard)).toEqual([])
})

it('the dashboard uses only metrics and labels that exist', () => {
  expect(panels.length).toBeGreaterThan(10)
  expect(unknownIn(panels, known())).toEqual([])
})

it('the alerts use only metrics and labels that exist', () => {
  expect(alerts).toHaveLength(10)
  expect(unknownIn(alerts, known())).toEqual([])
})

it('the durations leave out exactly the routes in which proxies wait', () => {
  const waiting = Object.values(extensionRoutes).filter(
    ({ method, summary }) => method === 'POST' && /; waits/.test(summary),
  )
  const ends = waiting.map(({ path }) => path.split('/').at(-1)!)
  expect(ends.sort()).toEqual(['serial-ports', 'shared-consoles'])
  const durations = [...panels, ...alerts].filter((expr) => expr.includes('oriel_api_request_seconds_bucket'))
  expect(durations).toHaveLength(3)
  for (const expr of durations) expect(expr).toContain('route!~".*/(serial-ports|shared-consoles)"')
})
