/** What is published: the README's code is compiled code, and the main entry is small and runs everywhere. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { expect, it } from 'vitest'
import * as console_ from '../src/index.ts'
import { Screen } from '../src/screen/screen.ts'

const folder = join(import.meta.dirname, '..')
const MAX_GZIP_BYTES = 60_000

it('shows in the README of @oriel/console exactly the examples that are compiled', async () => {
  const readme = await readFile(join(folder, 'README.md'), 'utf8')
  const shown = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code)
  const names = await readdir(join(folder, 'examples'))
  const examples = await Promise.all(names.map((name) => readFile(join(folder, 'examples', name), 'utf8')))
  expect(shown.toSorted()).toEqual(examples.toSorted())
})

it('names in the README of @oriel/console its size, its errors and the methods of a screen', async () => {
  const readme = await readFile(join(folder, 'README.md'), 'utf8')
  expect(readme).toContain(`below ${MAX_GZIP_BYTES / 1000} kB`)
  const errors = Object.entries(console_).filter(([name, value]) => /^[A-Z]/.test(name) && value instanceof Function)
  for (const [name] of errors) expect(readme).toContain(`\`${name}\``)
  const members = Object.getOwnPropertyNames(Screen.prototype).filter((name) => name !== 'constructor')
  for (const name of members) expect(readme).toMatch(new RegExp(`\\b${name}\\b`))
})

it('bundles @oriel/console into one file and one for each layout and table of glyphs, without anything of Node', async () => {
  const { code, imports } = await bundled('src/index.ts')
  expect(imports).toEqual([])
  expect(code).not.toMatch(/["']node:|\bprocess\.|\bBuffer\./)
  expect(gzipSync(code).byteLength).toBeLessThan(MAX_GZIP_BYTES)
})

async function bundled(entry: string) {
  const conditionNames = ['@oriel/source', 'import', 'default']
  const bundle = await rolldown({ input: join(folder, entry), platform: 'browser', resolve: { conditionNames } })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  await bundle.close()
  const chunks = [...console_.layoutNames.filter((name) => name !== 'us'), 'consoles', 'unifont']
  expect(output.slice(1).map(({ name }) => name)).toEqual(expect.arrayContaining(chunks))
  expect(output).toHaveLength(1 + chunks.length)
  return output[0]
}
