/** `docs/recipes.md` shows the files that `tests/e2e/recipes.test.ts` runs. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const root = new URL('../../../', import.meta.url)
const folder = new URL('tests/e2e/recipes/', root)
const page = readFileSync(new URL('docs/recipes.md', root), 'utf8')
const tests = readFileSync(new URL('tests/e2e/recipes.test.ts', root), 'utf8')
const names = readdirSync(folder)
const languages: Readonly<Record<string, string>> = { oriel: 'sh', sh: 'sh', ts: 'ts', json: 'json' }

it('docs/recipes.md shows each file of tests/e2e/recipes below its name, and no other program', () => {
  const shown = [...page.matchAll(/^`([\w.-]+)`:\n\n```(\w+)\n(.*?)^```$/gms)].map(([, ...block]) => block)
  const files = names.map((name) => [
    name,
    languages[name.split('.').at(-1)!],
    readFileSync(new URL(name, folder), 'utf8'),
  ])
  expect(shown.toSorted()).toEqual(files.toSorted())
  expect(page.match(/^```(?:ts|json)$/gm)).toHaveLength(names.filter((name) => /\.(?:ts|json)$/.test(name)).length)
})

it.each(names)('the test of the recipes runs %s', (name) => {
  expect(tests).toMatch(new RegExp(`'${name.replace('.', '\\.')}'|of ${name.replace('.', '\\.')}'`))
})
