/** Finds the metrics and labels in expressions for Prometheus, to compare them with those of a program. */

/** A metric as prom-client lists it. */
export interface ListedMetric {
  readonly name: string
  readonly labelNames?: readonly string[]
  readonly type?: string
}

/** Returns the names in a scrape of `metrics`, each with its labels. */
export function scrapedNames(metrics: readonly object[]): Map<string, readonly string[]> {
  const names = new Map<string, readonly string[]>([['up', []]])
  for (const metric of metrics) {
    const { name, labelNames = [], type } = metric as ListedMetric
    names.set(name, labelNames)
    if (type !== 'histogram' && !('buckets' in metric)) continue
    for (const part of ['bucket', 'sum', 'count']) names.set(`${name}_${part}`, [...labelNames, 'le'])
  }
  return names
}

/** Labels that Prometheus adds. */
const FROM_PROMETHEUS = ['job', 'instance']
/** Functions and keywords. The labels in a `by` clause are checked separately. */
const WORDS = new Set('sum by rate min max and increase histogram_quantile label_values bool'.split(' '))

/** Returns each metric and each label of `exprs` that is missing in `known`; the text names both. */
export function unknownIn(exprs: readonly string[], known: ReadonlyMap<string, readonly string[]>): string[] {
  return exprs.flatMap((expr) => {
    const metrics = metricsIn(expr)
    const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(/, */))
    const all = [...metrics.flatMap(({ name }) => known.get(name) ?? []), ...FROM_PROMETHEUS]
    return [
      ...(metrics.length === 0 ? [`${expr}: no metric`] : []),
      ...metrics.flatMap((metric) => unknownOf(metric, known)),
      ...grouped.filter((label) => !all.includes(label)).map((label) => `${expr}: by ${label}`),
    ]
  })
}

interface UsedMetric {
  readonly name: string
  readonly labels: readonly string[]
}

function unknownOf({ name, labels }: UsedMetric, known: ReadonlyMap<string, readonly string[]>): string[] {
  const own = known.get(name)
  if (!own) return [name]
  return labels.filter((label) => ![...own, ...FROM_PROMETHEUS].includes(label)).map((label) => `${name} ${label}`)
}

function metricsIn(expr: string): UsedMetric[] {
  const bare = expr
    .replaceAll(/\bby \([^)]*\)/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b\d+(\.\d+)?\b/g, '')
  return [...bare.matchAll(/([a-z_][a-z0-9_]*)(?:\{([^}]*)\})?/g)]
    .filter(([, name, labels]) => labels !== undefined || !WORDS.has(name!))
    .map(([, name, labels = '']) => ({
      name: name!,
      labels: [...labels.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!),
    }))
}

/** Returns the expressions in the group `group` of a file of alerts. */
export function alertExprs(yaml: string, group: string): string[] {
  const text = yaml.split(/^ {2}- name: /m).find((part) => part.startsWith(`${group}\n`)) ?? ''
  return [...text.matchAll(/^ {8}expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)/gm)].map(
    ([, block, line]) => block ?? line ?? '',
  )
}

export interface Panel {
  readonly id: number
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets: readonly { readonly expr: string }[]
  readonly fieldConfig: { readonly defaults: { readonly unit?: string } }
}

/** A dashboard of Grafana. */
export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] }
}

/** Returns what Grafana would show wrong: panels with the same id, outside its 24 columns, over each other, or without a unit. */
export function dashboardFaults({ panels }: Dashboard): string[] {
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
  )
  return [
    ...(new Set(panels.map(({ id }) => id)).size === panels.length ? [] : ['two panels have the same id']),
    ...(new Set(cells).size === cells.length ? [] : ['panels overlap']),
    ...panels.filter(({ gridPos: { x, w } }) => x + w > 24).map(({ title }) => `${title}: outside`),
    ...panels.filter(({ fieldConfig }) => !fieldConfig.defaults.unit).map(({ title }) => `${title}: no unit`),
  ]
}
