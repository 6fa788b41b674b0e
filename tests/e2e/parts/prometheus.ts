/** Starts the real Prometheus, and asks it as Grafana does. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, temporaryFolder } from '@oriel/testkit'
import { stringify } from 'yaml'
import { startAccepting } from './accepting.ts'
import { unpacked } from './linux-files.ts'

export interface PrometheusOptions {
  /** The `host:port` of each job. */
  readonly jobs: Readonly<Record<string, string>>
  /** A file with rules. */
  readonly rules: string
}

export interface Prometheus extends AsyncDisposable {
  /** Returns how many series a query of a dashboard has. @throws Error if Prometheus refuses it */
  count(expr: string): Promise<number>
  /** Returns the values of a variable of a dashboard, which is `label_values(SERIES, LABEL)`. */
  labelValues(query: string): Promise<readonly string[]>
  rules(): Promise<readonly { readonly name: string; readonly health: string }[]>
}

/** Grafana gives `$__rate_interval` four scrapes. */
const INTERVAL = '500ms'
const RATE_INTERVAL = '2s'

export async function startPrometheus({ jobs, rules }: PrometheusOptions): Promise<Prometheus> {
  await using scope = new AsyncDisposableStack()
  const { path } = scope.use(await temporaryFolder())
  const port = await freePort()
  const config = join(path, 'prometheus.yaml')
  await writeFile(config, configOf(jobs, rules))
  const args = ['--config.file', config, '--storage.tsdb.path', join(path, 'data'), '--log.level', 'warn']
  const command = join(unpacked, 'usr/bin/prometheus')
  scope.use(await startAccepting({ command, args: [...args, '--web.listen-address', `127.0.0.1:${port}`] }, port))
  const ask = (route: string, parameters: Record<string, string> = {}) =>
    answerOf(new URL(`http://127.0.0.1:${port}/api/v1/${route}?${new URLSearchParams(parameters)}`))
  const rest = scope.move()
  return {
    count: async (expr) => ((await ask('query', { query: withoutVariables(expr) })).result as unknown[]).length,
    async labelValues(query) {
      const [, series, label] = /^label_values\((.*), (\w+)\)$/.exec(query)!
      return (await ask(`label/${label}/values`, { 'match[]': withoutVariables(series!) })) as unknown as string[]
    },
    rules: async () => ((await ask('rules')).groups as { rules: [] }[]).flatMap((group) => group.rules),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

const configOf = (jobs: PrometheusOptions['jobs'], rules: string): string =>
  stringify({
    global: { scrape_interval: INTERVAL, evaluation_interval: INTERVAL },
    rule_files: [rules],
    scrape_configs: Object.entries(jobs).map(([job_name, target]) => ({
      job_name,
      static_configs: [{ targets: [target] }],
    })),
  })

/** Replaces the variables as Grafana does while "All" is selected. */
function withoutVariables(expr: string): string {
  const replaced = expr.replaceAll('$__rate_interval', RATE_INTERVAL).replaceAll(/\$(job|instance)\b/g, '.*')
  if (replaced.includes('$')) throw new Error(`An unknown variable: ${replaced}`)
  return replaced
}

/** @throws Error with Prometheus' message */
async function answerOf(url: URL): Promise<Record<string, unknown>> {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
  const body = (await response.json()) as { data?: Record<string, unknown>; error?: string }
  if (!body.data) throw new Error(`Prometheus: ${body.error}`)
  return body.data
}
