/** Prometheus accepts the alerts in deploy/, which fire when they should, and answers the queries of the dashboards. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Dashboard, freePort, requirement, scriptedServer, startProgram } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { unpacked } from './parts/linux-files.ts'
import { startPair } from './parts/oriel.ts'
import { type Prometheus, startPrometheus } from './parts/prometheus.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'
import { pathOf, serverAt } from './parts/sessions.ts'

const SERVER = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const promtool = join(unpacked, 'usr/bin/promtool')
const { skip, reason } = requirement('Prometheus', existsSync(promtool), 'run tests/install-debian-packages')
const deployed = (name: string) => fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url))
const ALERTS = deployed('prometheus-alerts.yaml')
const PATIENT = { timeout: 60_000 }

describe.skipIf(skip)(`promtool${reason}`, () => {
  it.each([
    ['check', '../../deploy/prometheus-alerts.yaml'],
    ['test', 'fixtures/prometheus/alerts.test.yaml'],
  ])('%s rules passes for %s', async (verb, name) => {
    const file = fileURLToPath(new URL(name, import.meta.url))
    await using it = await startProgram({ command: promtool, args: [verb, 'rules', file] })
    const exit = await it.exited
    expect([exit, it.otherLines.join('\n')]).toEqual([{ code: 0, signal: null }, expect.stringContaining('SUCCESS')])
  })
})

/** The panels that stay empty while nothing fails, and without Keystone. */
const WITHOUT_SERIES: Readonly<Record<string, readonly string[]>> = {
  'oriel-api': ['Requests that fail', 'Database failures', 'Keystone answers within'],
  'oriel-proxy': [],
}

describe.skipIf(skip)(`a Prometheus that scrapes API and proxy${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let prometheus: Prometheus

  beforeAll(async () => {
    const admin = { api: `127.0.0.1:${await freePort()}`, proxy: `127.0.0.1:${await freePort()}` }
    const hypervisor = parts.use(await scriptedServer(serveRfb))
    const servers = [serverAt(SERVER, hypervisor)]
    const tables = { api: { admin: { listen: admin.api } }, proxy: { admin: { listen: admin.proxy } } }
    const pair = parts.use(await startPair({ servers, ...tables }))
    const jobs = { 'oriel-api': admin.api, 'oriel-proxy': admin.proxy }
    prometheus = parts.use(await startPrometheus({ jobs, rules: ALERTS }))
    const open = async () => {
      const { url } = await pair.client.createConsole(SERVER, 'novnc')
      const socket = new WebSocket(`ws://127.0.0.1:${pair.proxyPort}/${pathOf(url)}`, ['binary'])
      await (await asViewer(socket)).echo(Buffer.from('seen by Prometheus'))
      return socket
    }
    ;(await open()).terminate()
    await open()
  })
  afterAll(() => parts.disposeAsync())

  it.each(['oriel-api', 'oriel-proxy'])('answers every query of the dashboard %s', async (name) => {
    const { panels, templating } = JSON.parse(await readFile(deployed(`grafana/${name}.json`), 'utf8')) as Dashboard
    const empty = async () => {
      const asked = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })))
      const answers = await Promise.all(
        asked.map(async ({ title, expr }) => ({ title, count: await prometheus.count(expr) })),
      )
      return answers.filter(({ count }) => count === 0).map(({ title }) => title)
    }
    await expect.poll(empty, PATIENT).toEqual(WITHOUT_SERIES[name])
    const [, job, instance] = templating.list.map(({ query }) => (query as { query?: string }).query ?? '')
    expect(await prometheus.labelValues(job!)).toEqual([name])
    expect(await prometheus.labelValues(instance!)).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)])
  })

  it('evaluates every alert', async () => {
    const unhealthy = async () => (await prometheus.rules()).filter(({ health }) => health !== 'ok')
    await expect.poll(unhealthy, PATIENT).toEqual([])
    expect(await prometheus.rules()).toHaveLength(20)
  })
})
