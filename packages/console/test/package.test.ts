/** What is published: the README's code is compiled code, and the main entry is small and runs everywhere. */
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { expect, it } from 'vitest'
import { layoutNames } from '../src/index.ts'

const folder = join(import.meta.dirname, '..')

it('bundles @oriel/console into one file and one for each layout, without anything of Node', async () => {
  const { code, imports } = await bundled('src/index.ts')
  expect(imports).toEqual([])
  expect(code).not.toMatch(/["']node:|\bprocess\.|\bBuffer\./)
})

async function bundled(entry: string) {
  const conditionNames = ['@oriel/source', 'import', 'default']
  const bundle = await rolldown({ input: join(folder, entry), platform: 'browser', resolve: { conditionNames } })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  await bundle.close()
  expect(output.slice(1).map(({ name }) => name)).toEqual(layoutNames.filter((name) => name !== 'us'))
  return output[0]
}
