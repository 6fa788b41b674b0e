/** The published package: its entries, their sizes, and what a bundler may leave out. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { bundledText, scriptsAtOnce } from './bundled.ts'

const folder = new URL('../', import.meta.url)
const readme = readFileSync(new URL('README.md', folder), 'utf8')
const manifest = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'))

/** The README's table: an entry, the element that it defines, and below how many kB it is. */
const rows = [...readme.matchAll(/^\| `@oriel\/elements\/([\w-]+)` \| `<([\w-]+)>` \|.*\| (\d+) kB \|$/gm)].map(
  ([, entry, element, size]) => ({ entry: entry!, element: element!, size: Number(size) }),
)

it('has a row in the README for each entry that defines an element', () => {
  const entries = Object.keys(manifest.publishConfig.exports).filter((entry) => {
    return 'default' in manifest.publishConfig.exports[entry]
  })
  expect(rows.map(({ entry }) => `./${entry}`).toSorted()).toEqual(entries.toSorted())
})

it.each(rows)('loads at once about the $size kB of @oriel/elements/$entry that the README states', async (row) => {
  const scripts = await scriptsAtOnce(`${row.entry}.ts`)
  const size = scripts.reduce((sum, code) => sum + gzipSync(code).byteLength, 0) / 1000
  expect(size).toBeLessThanOrEqual(row.size)
  expect(size).toBeGreaterThan(row.size * 0.9)
})

it.each(rows)(
  'defines <$element> when @oriel/elements/$entry is imported without a name',
  async ({ entry, element }) => {
    const chunks = await bundledText(`import '@oriel/elements/${entry}'`)
    expect(chunks.join('\n')).toMatch(new RegExp(`\\.define\\(["'\`]${element}["'\`]`))
  },
)

it('shows in the README only examples that are compiled', () => {
  const examples = new URL('examples/', folder)
  const sources = readdirSync(examples).map((name) => readFileSync(new URL(name, examples), 'utf8'))
  const shown = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!)
  expect(shown.length).toBeGreaterThan(0)
  for (const code of shown) expect(sources).toContain(code)
})

it('imports @oriel/elements/console on a server, where it defines nothing', async () => {
  expect(globalThis.HTMLElement).toBeUndefined()
  const { kindOf, OrielConsole } = await import('../src/console.ts')
  expect(kindOf('wss://h/?token=t')).toBe('serial')
  expect(OrielConsole).toBeTypeOf('function')
})

it('publishes the entries of the workspace, except for the pages of the proxy', () => {
  const { './pages': _, ...entries } = manifest.exports
  const published = Object.fromEntries(
    Object.entries(entries as Record<string, Record<string, string>>).map(
      ([name, { '@oriel/source': source, ...rest }]) => {
        if (source !== undefined) expect(existsSync(fileURLToPath(new URL(source, folder)))).toBe(true)
        return [name, rest]
      },
    ),
  )
  expect(manifest.publishConfig.exports).toEqual(published)
})
