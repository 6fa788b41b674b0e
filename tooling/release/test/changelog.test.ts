import { expect, test } from 'vitest'
import { parseChangeset, readChangesets, withSection } from '../src/changelog.ts'

const changeset = (packages: Record<string, string>, summary: string) => ({ releases: packages, summary })

test('reads the packages and the text of a changeset, whatever quotes it has', () => {
  expect(parseChangeset(`---\n'@oriel/proxy': minor\n"oriel": patch\n---\n\nAdds a thing.\n\n- More.\n`)).toEqual({
    releases: { '@oriel/proxy': 'minor', oriel: 'patch' },
    summary: 'Adds a thing.\n\n- More.',
  })
  expect(() => parseChangeset('# No changeset')).toThrow('no changeset: # No changeset')
})

test('lists each changeset once, below the first part that it concerns, fixes last', () => {
  const text = withSection('', '0.1.0', [
    changeset({ '@oriel/proxy': 'patch' }, 'Mends the proxy.'),
    changeset({ '@oriel/sdk': 'minor', '@oriel/cli': 'minor' }, 'Adds a call.\n\n- Detail.'),
    changeset({ '@oriel/proxy': 'minor', '@oriel/sdk': 'minor' }, 'Adds to the proxy.'),
  ])
  expect(text).toBe(
    [
      '# Changelog\n\n[VERSIONING.md](VERSIONING.md) says which changes are breaking.\n\n## 0.1.0\n',
      '### The proxy\n\n- Adds to the proxy.\n- Mends the proxy.\n',
      '### The command `oriel` (`@oriel/cli`)\n\n- Adds a call.\n\n  - Detail.\n',
    ].join('\n'),
  )
})

test('keeps earlier sections below the new one', () => {
  const first = withSection('', '0.1.0', [changeset({ oriel: 'minor' }, 'First.')])
  const both = withSection(first, '0.2.0', [changeset({ oriel: 'minor' }, 'Second.')])
  expect(both.match(/^(## .*|- .*)$/gm)).toEqual(['## 0.2.0', '- Second.', '## 0.1.0', '- First.'])
  expect(both.match(/^# /gm)).toHaveLength(1)
})

test('our changesets all concern a part of the changelog', () => {
  const changesets = readChangesets(new URL('../../..', import.meta.url).pathname)
  const text = withSection('', '0.0.0', changesets)
  for (const { summary } of changesets) expect(text).toContain(summary.split('\n')[0])
})
