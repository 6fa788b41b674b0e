/**
 * The CHANGELOG of all of Oriel, in the root: each changeset once, below the part of Oriel that people know it by. The
 * CHANGELOG of a package repeats those that concern it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Changeset {
  /** Packages by name, with the kind of their change. */
  readonly releases: Readonly<Record<string, string>>
  readonly summary: string
}

/** The parts, in the order of the CHANGELOG. A changeset belongs to the first part that has one of its packages. */
const PARTS: readonly (readonly [title: string, packages: readonly string[]])[] = [
  [
    'Programs: `oriel-api`, `oriel-proxy`, `oriel`',
    ['oriel', 'oriel-api', 'oriel-proxy', '@oriel/runtime', '@oriel/api'],
  ],
  ['The proxy', ['@oriel/proxy']],
  ['Console pages and elements', ['@oriel/elements']],
  ['The command `oriel` (`@oriel/cli`)', ['@oriel/cli']],
  ['Consoles in code (`@oriel/console`)', ['@oriel/console']],
  ['The client (`@oriel/sdk`, `@oriel/contract`)', ['@oriel/sdk', '@oriel/contract']],
]
const HEAD = '# Changelog\n\n[VERSIONING.md](VERSIONING.md) says which changes are breaking.\n'

/** Reads the changesets of a workspace, by the name of their file. */
export function readChangesets(workspace: string): readonly Changeset[] {
  const folder = join(workspace, '.changeset')
  const files = readdirSync(folder).filter((file) => file.endsWith('.md') && file !== 'README.md')
  return files.sort().map((file) => parseChangeset(readFileSync(join(folder, file), 'utf8')))
}

/** @throws Error if the text is no changeset */
export function parseChangeset(text: string): Changeset {
  const [, head, summary] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(text) ?? []
  if (head === undefined || summary === undefined) throw new Error(`no changeset: ${text.slice(0, 80)}`)
  const lines = [...head.matchAll(/^["']?([^"':]+)["']?: *(\w+)$/gm)]
  return { releases: Object.fromEntries(lines.map(([, name, kind]) => [name!, kind!])), summary: summary.trim() }
}

/** Puts a section for `version` above the earlier ones of `before`. Fixes follow what is new. */
export function withSection(before: string, version: string, changesets: readonly Changeset[]): string {
  const earlier = before.startsWith(HEAD) ? before.slice(HEAD.length) : ''
  const parts = PARTS.flatMap(([title], at) => {
    const inPart = changesets.filter((changeset) => partOf(changeset) === at)
    return inPart.length === 0 ? [] : [`### ${title}\n\n${byKind(inPart).map(itemOf).join('\n')}\n`]
  })
  return `${HEAD}\n## ${version}\n\n${parts.join('\n')}${earlier}`
}

function partOf({ releases }: Changeset): number {
  return PARTS.findIndex(([, packages]) => packages.some((name) => name in releases))
}

const KINDS = ['major', 'minor', 'patch']

const byKind = (changesets: readonly Changeset[]) =>
  changesets.toSorted((a, b) => KINDS.indexOf(kindOf(a)) - KINDS.indexOf(kindOf(b)))

const kindOf = ({ releases }: Changeset) => KINDS.find((kind) => Object.values(releases).includes(kind)) ?? 'patch'

const itemOf = ({ summary }: Changeset) => `- ${summary.replaceAll(/\n(?=.)/g, '\n  ')}`
