import { readFile } from 'node:fs/promises'
import { ApiConfig } from '@oriel/api'
import { proxyConfig } from '@oriel/proxy'
import { describe, expect, it } from 'vitest'
import { tablesOf } from '../src/configuration.ts'
import { pages } from '../src/pages.ts'
import type { Schema } from '../src/schema.ts'

describe('the generated pages', () => {
  it.each(Object.entries(pages))('include %s, which is up to date (if not, run `npm run docs`)', async (name, page) => {
    const written = await readFile(new URL(`../../../docs/${name}`, import.meta.url), 'utf8')
    expect(written).toBe(page())
  })
})

describe('docs/configuration.md', () => {
  it.each([
    ['api.toml', ApiConfig],
    ['proxy.toml', proxyConfig],
  ])('describes every key of %s', (_, schema) => {
    const keys = tablesOf(schema as unknown as Schema).flatMap((table) => table.keys)
    expect(keys.length).toBeGreaterThan(20)
    expect(keys.filter(({ meaning }) => meaning === '').map(({ path }) => path)).toEqual([])
  })

  it('has a table for each kind, with only the keys of that kind', () => {
    const tables = tablesOf(ApiConfig as unknown as Schema)
    const [, ...kinds] = tables.map(({ kind }) => kind)
    expect(kinds).toEqual(['static', 'qemu', 'libvirt'].map((kind) => `sources[].kind = "${kind}"`))
    const holders = (path: string) => tables.filter(({ keys }) => keys.some((key) => key.path === path))
    expect(holders('sources[].kind').map(({ kind }) => kind)).toEqual([''])
    expect(holders('sources[].qmp').map(({ kind }) => kind)).toEqual(['sources[].kind = "qemu"'])
    expect(
      holders('sources[].poll_seconds').map(
        ({ keys }) => keys.find(({ path }) => path === 'sources[].poll_seconds')!.default,
      ),
    ).toEqual(['`1`', '`5`'])
  })

  it.each([
    ['authority.endpoint', ''],
    ['authority.timeout_ms', ''],
    ['authority.auth.method', ''],
    ['authority.auth.token', 'yes'],
    ['listen[].address', 'yes'],
    ['listen[].tls.cert', 'with `listen[].tls`'],
    ['listen[].tls.ciphers', ''],
    ['spice.tls.key', 'with `spice.tls`'],
    ['spice.listen', ''],
  ])('says whether %s is required', (path, required) => {
    const keys = tablesOf(proxyConfig as unknown as Schema).flatMap((table) => table.keys)
    expect(keys.find((key) => key.path === path)?.required).toBe(required)
  })
})
