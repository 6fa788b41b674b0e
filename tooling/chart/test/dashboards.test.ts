/** The dashboards in deploy/grafana, compared with the types that Grafana publishes. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { compilerErrors } from './parts/compiler.ts'

const folder = fileURLToPath(new URL('../../../deploy/grafana', import.meta.url))

/** TypeScript refuses unknown fields in object literals. */
const typed = (dashboard: string, index = 0) =>
  `export const d${index}: import('../../test/parts/grafana.ts').PrometheusDashboard = ${dashboard}\n`

describe('the dashboards', () => {
  it('have only fields and values of the types of Grafana 13', async () => {
    const names = await readdir(folder)
    expect(names.toSorted()).toEqual(['oriel-api.json', 'oriel-proxy.json'])
    const dashboards = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
    expect(compilerErrors(dashboards.map(typed).join(''))).toBe('')
  })

  it('are refused with fields and values that Grafana does not have', async () => {
    const dashboard = await readFile(join(folder, 'oriel-api.json'), 'utf8')
    const broken = [
      ['"editable"', '"editabel"'],
      ['"gridPos"', '"gridPosition"'],
      ['"calcs"', '"calculations"'],
      ['"fillOpacity"', '"fillOpaqueness"'],
      ['"expr"', '"expression"'],
      ['"mode": "none"', '"mode": "off"'],
      ['"type": "stat"', '"type": "statistic"'],
    ] as const
    const errors = compilerErrors(
      broken
        .map(([before, after]) => dashboard.replace(before, after))
        .map(typed)
        .join(''),
    )
    for (const [, after] of broken) expect(errors).toContain(after.split(' ').at(-1))
  })
})
