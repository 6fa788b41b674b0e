import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const root = new URL('../../../', import.meta.url)
const pages = [
  ...[
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'VERSIONING.md',
    'tests/conformance/README.md',
    ...['', 'html/', 'react/', 'hono/', 'express/'].map((folder) => `examples/${folder}README.md`),
    'packages/cli/README.md',
    'packages/console/README.md',
    'packages/elements/README.md',
    'packages/sdk/README.md',
  ],
  ...['docs/', 'docs/decisions/'].flatMap((folder) =>
    readdirSync(new URL(folder, root)).flatMap((name) => (name.endsWith('.md') ? [`${folder}${name}`] : [])),
  ),
]

it.each(pages)('every link in %s leads to an existing file', (page) => {
  const at = new URL(page, root)
  const links = [...readFileSync(at, 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, target]) => target!)
  expect(links.filter((target) => !existsSync(new URL(target, at)))).toEqual([])
})
