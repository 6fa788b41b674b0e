import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findViolations } from '../src/measure.ts'
import { entryOf } from '../src/order.ts'

const order = { 'packages/one/src': ['words.ts', 'low/deep', 'low', 'high', '.'] }

describe('findViolations', () => {
  test('finds no violation if all imports are from earlier folders', async () => {
    const files = {
      'high/a.ts': `import '../low/b.ts'`,
      'low/b.ts': `import './deep/c.ts'`,
      'low/deep/c.ts': `import '../../words.ts'`,
      'words.ts': '',
    }
    expect(await violationsOf(files)).toEqual({ cycles: [], upward: [], unlisted: [] })
  })

  test('finds a cycle of value imports', async () => {
    const { cycles } = await violationsOf({ 'low/a.ts': `import './b.ts'`, 'low/b.ts': `import './a.ts'` })
    expect(cycles).toEqual([['packages/one/src/low/a.ts', 'packages/one/src/low/b.ts']])
  })

  test('finds a cycle with a type import', async () => {
    const files = {
      'low/a.ts': `import { b } from './b.ts'\nexport type A = typeof b`,
      'low/b.ts': `import type { A } from './a.ts'\nexport const b = 1 as unknown as A`,
    }
    expect((await violationsOf(files)).cycles).toHaveLength(1)
  })

  test('merges cycles that share a file, and keeps others apart', async () => {
    const both = (file: string, ...others: string[]) => [file, others.map((other) => `import './${other}'`).join('\n')]
    const files = Object.fromEntries([
      ...[both('low/a.ts', 'b.ts', 'c.ts'), both('low/b.ts', 'a.ts'), both('low/c.ts', 'a.ts')],
      ...[both('low/d.ts', 'e.ts'), both('low/e.ts', 'd.ts')],
    ])
    const { cycles } = await violationsOf(files)
    const names = cycles.map((cycle) => cycle.map((file) => file.slice(-4)).join(' '))
    expect(names.sort()).toEqual(['a.ts b.ts c.ts', 'd.ts e.ts'])
  })

  test('finds imports from a later folder, from a loose file, and from the enclosing folder', async () => {
    const files = {
      'low/a.ts': `import type { B } from '../high/b.ts'\nexport type A = B`,
      'high/b.ts': `import '../loose.ts'\nexport type B = 1`,
      'low/deep/c.ts': `import '../d.ts'`,
      'low/d.ts': '',
      'loose.ts': '',
    }
    const at = (edge: string) => edge.replaceAll('packages/one/src/', '')
    expect((await violationsOf(files)).upward.map(at).sort()).toEqual([
      'high/b.ts → loose.ts',
      'low/a.ts → high/b.ts',
      'low/deep/c.ts → low/d.ts',
    ])
  })

  test('finds a folder that the order does not name', async () => {
    expect((await violationsOf({ 'new/a.ts': '' })).unlisted).toEqual(['packages/one/src/new/a.ts'])
  })
})

test.each([
  ['low/deep/a.ts', 'low/deep'],
  ['low/a.ts', 'low'],
  ['lower/a.ts', undefined],
  ['words.ts', 'words.ts'],
  ['other.ts', '.'],
])('entryOf %s is %s', (file, entry) => expect(entryOf(file, order['packages/one/src'])).toBe(entry))

async function violationsOf(files: Readonly<Record<string, string>>) {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-graph-'))
  for (const [name, text] of Object.entries(files)) {
    const file = join(folder.path, 'packages/one/src', name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  return await findViolations(folder.path, ['packages'], order)
}
