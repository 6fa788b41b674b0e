import { readFileSync } from 'node:fs'
import { openableConsoleTypes } from '@oriel/contract'
import { expect, it } from 'vitest'

const page = readFileSync(new URL('../../../docs/consoles.md', import.meta.url), 'utf8')

it('docs/consoles.md has a row for each console type that can be opened', () => {
  const documented = [...page.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, type]) => type)
  expect(documented.toSorted()).toEqual(openableConsoleTypes.toSorted())
})
