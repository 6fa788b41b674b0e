/** The dashboard and the alerts in deploy/ must use only metrics and labels of the proxy. */
import { readFile } from 'node:fs/promises'
import { closeReasons, refusals } from '@oriel/contract'
import { withProcessMetrics } from '@oriel/runtime'
import * as prom from 'prom-client'
import { describe, expect, it } from 'vitest'
import { fleetMetrics } from '../src/fleet/metrics.ts'
import { createMetrics } from '../src/metrics.ts'

interface Panel {
  readonly id: number
  readonly title: string
  readonly type: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets: readonly { readonly expr: string; readonly refId: string }[]
}
interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] }
}

const deployed = (name: string) => readFile(new URL(`../../../deploy/${name}`, import.meta.url), 'utf8')
const dashboard = async () => JSON.parse(await deployed('grafana/oriel-proxy.json')) as Dashboard

/** All names in a scrape, with their labels. */
async function known(): Promise<Map<string, readonly string[]>> {
  const registry = new prom.Registry()
  withProcessMetrics(registry)
  fleetMetrics(registry, () => 0)
  const own = createMetrics({
    sessions: () => [],
    breaker: { state: 'closed' },
    namesBreaker: { state: 'closed' },
    budget: { maxBytes: 1 },
  }).registry
  const names = new Map<string, readonly string[]>([['up', []]])
  for (const metric of [...registry.getMetricsAsArray(), ...own.getMetricsAsArray()]) {
    const { name, labelNames = [], type } = metric as unknown as { name: string; labelNames?: string[]; type?: string }
    names.set(name, labelNames)
    if (type !== 'histogram' && !('buckets' in metric)) continue
    for (const part of ['bucket', 'sum', 'count']) names.set(`${name}_${part}`, [...labelNames, 'le'])
  }
  return names
}

/** Labels that Prometheus adds, and functions and keywords of its language. */
const FROM_PROMETHEUS = ['job', 'instance']
const WORDS = new Set(
  'sum by rate min max increase histogram_quantile label_values bool le type direction reason result job instance'.split(
    ' ',
  ),
)

/** The metrics of an expression, each with the labels that it uses. */
function metricsIn(expr: string): { name: string; labels: string[] }[] {
  const found = [...expr.matchAll(/([a-z_][a-z0-9_]*)(?:\{([^}]*)\})?/g)]
  const names = found.filter(([text, name, labels]) => labels !== undefined || (!WORDS.has(name!) && !/^\d/.test(text)))
  return names.map(([, name, labels = '']) => ({
    name: name!,
    labels: [...labels.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!),
  }))
}

/** Removes everything except metric names: `$variables`, ranges, quoted texts outside braces. */
const bare = (expr: string) => expr.replaceAll(/\[[^\]]*\]/g, '').replaceAll(/\b\d+(\.\d+)?\b/g, '')

async function expectKnown(exprs: readonly string[]) {
  const names = await known()
  const asked = exprs.flatMap((expr) => metricsIn(bare(expr)))
  expect(asked.length).toBeGreaterThanOrEqual(exprs.length)
  for (const { name, labels } of asked) {
    expect([...names.keys()], name).toContain(name)
    for (const label of labels) expect([...names.get(name)!, ...FROM_PROMETHEUS], `${name} ${label}`).toContain(label)
  }
}

describe('deploy/grafana/oriel-proxy.json', () => {
  it('can be imported by Grafana, and has no overlapping panels', async () => {
    const { uid, title, schemaVersion, panels } = await dashboard()
    expect({ uid, title, schemaVersion }).toEqual({ uid: 'oriel-proxy', title: 'Oriel proxy', schemaVersion: 39 })
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(cells.every((cell) => Number(cell.split(' ')[0]) < 24)).toBe(true)
  })

  it('uses only metrics and labels that exist', async () => {
    const { panels, templating } = await dashboard()
    await expectKnown(panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)))
    const variables = templating.list.map(({ query }) => (query as { query?: string }).query ?? '')
    expect(variables.filter((query) => query.includes('oriel_proxy_sessions'))).toHaveLength(2)
  })
})

describe('deploy/prometheus-alerts.yaml', () => {
  const exprs = async () => {
    const text = await deployed('prometheus-alerts.yaml')
    return [...text.matchAll(/^ {8}expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)/gm)].map(
      ([, block, line]) => block ?? line ?? '',
    )
  }

  it('uses only metrics and labels that exist', async () => {
    const found = await exprs()
    expect(found).toHaveLength(10)
    await expectKnown(found)
  })

  it('uses only results that exist', async () => {
    const results = (await exprs()).flatMap((expr) =>
      [...expr.matchAll(/result=~?"([^"]+)"/g)].flatMap(([, it]) => it!.split('|')),
    )
    expect(results.length).toBeGreaterThan(2)
    for (const result of results) expect(Object.keys({ ...refusals, ...closeReasons })).toContain(result)
  })
})
