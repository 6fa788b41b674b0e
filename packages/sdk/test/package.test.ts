/** What is published: the README's code is compiled code, and the main entry is small and runs everywhere. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { consoleTypes, microversions, openableConsoleTypes, openapi } from '@oriel/contract'
import { type OutputChunk, rolldown } from 'rolldown'
import { expect, it } from 'vitest'
import { consoleOrReason } from '../examples/errors.ts'
import * as sdk from '../src/index.ts'

const folder = join(import.meta.dirname, '..')
const MAX_BYTES = 42_000
const MAX_GZIP_BYTES = 14_500

it('shows in the README exactly the examples that are compiled', async () => {
  const readme = await readFile(join(folder, 'README.md'), 'utf8')
  const shown = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code)
  const names = await readdir(join(folder, 'examples'))
  const examples = await Promise.all(names.map((name) => readFile(join(folder, 'examples', name), 'utf8')))
  expect(shown.toSorted()).toEqual(examples.toSorted())
})

it('states in the README only what holds', async () => {
  const readme = await readFile(join(folder, 'README.md'), 'utf8')
  expect(readme).toContain(`below ${MAX_BYTES / 1000} kB`)
  const errors = Object.keys(sdk).filter((name) => /^[A-Z]/.test(name))
  for (const name of errors) expect(readme).toContain(`\`${name}\``)
  const rows = openableConsoleTypes.map((type) => `| \`${type}\` | ${consoleTypes[type].protocol} | ${since(type)} |`)
  for (const row of rows) expect(readme).toContain(row)
})

it('bundles into one small file without anything of Node', async () => {
  const { code, imports } = await bundled('src/index.ts')
  expect(imports).toEqual([])
  expect(code).not.toMatch(/["']node:|\bprocess\.|\bBuffer\./)
  expect(Buffer.byteLength(code)).toBeLessThan(MAX_BYTES)
  expect(gzipSync(code).byteLength).toBeLessThan(MAX_GZIP_BYTES)
})

it('works when bundled', async () => {
  const { code } = await bundled('src/index.ts')
  const { createClient: bundledCreateClient, NotFound } = await import(
    `data:text/javascript,${encodeURIComponent(code)}`
  )
  const fetch = async () => Response.json({ itemNotFound: { code: 404, message: 'No.' } }, { status: 404 })
  const at = bundledCreateClient({ endpoint: 'http://h', fetch }).at('2.99')
  await expect(at.showServer({ server_id: 's' })).rejects.toBeInstanceOf(NotFound)
})

it.each([
  [404, 'There is no such machine.'],
  [409, 'Not now: Why.'],
  [403, 'Why. (403, request req-1)'],
])('gives the message of the README’s example on errors for status %i', async (status, said) => {
  const headers = { 'X-OpenStack-Request-ID': 'req-1' }
  const fetch = async () => Response.json({ fault: { code: status, message: 'Why.' } }, { status, headers })
  expect(await consoleOrReason(sdk.createClient({ endpoint: 'http://h', fetch }), 's')).toBe(said)
})

// The first microversion at which an OpenAPI document of the contract names the type.
const since = (type: string) => microversions.find((v) => JSON.stringify(openapi(v)).includes(`"const":"${type}"`))

async function bundled(entry: string): Promise<OutputChunk> {
  const conditionNames = ['@oriel/source', 'import', 'default']
  const bundle = await rolldown({ input: join(folder, entry), platform: 'browser', resolve: { conditionNames } })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  await bundle.close()
  expect(output).toHaveLength(1)
  return output[0]
}
