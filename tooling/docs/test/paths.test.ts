import { existsSync, globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = new URL('../../../', import.meta.url)
const cwd = fileURLToPath(root)
const pages = globSync(['*.md', 'docs/**/*.md', 'packages/*/README.md', 'tooling/*/README.md'], { cwd }).toSorted()
const sources = globSync(
  ['apps', 'packages', 'tests', 'tooling'].map((folder) => `${folder}/**/*.ts`),
  {
    cwd,
    exclude: ['**/node_modules/**', '**/dist/**'],
  },
)

/** A path from the root, such as `packages/api/src/` or `.ci/run`. */
const FULL = /^(?:\.(?:changeset|ci|github)|apps|deploy|docs|packages|tests|tooling)\/[\w./-]+$/
/** The end of a path, such as `leg.ts` or `hypervisor/leg.ts`. */
const SHORT = /^(?:[\w-]+\/)*[\w.-]+\.ts$/

it.each(pages)('every file that %s names exists', (page) => {
  const words = [...readFileSync(new URL(page, root), 'utf8').matchAll(/`([^`\s]+)`/g)].map(([, word]) => word!)
  expect(words.filter((word) => !exists(word))).toEqual([])
})

function exists(word: string): boolean {
  if (FULL.test(word)) return existsSync(new URL(word, root))
  return !SHORT.test(word) || sources.some((source) => source.endsWith(`/${word}`))
}
