/** `docs/cli.md` and the README have the help and the exit codes of the program. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { helpOf, overview } from '../src/arguments/help.ts'
import { commandNames, commands } from '../src/commands/index.ts'
import { exitCodes } from '../src/exit-codes.ts'

const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8')
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const blocks = [...page.matchAll(/^```text\n(.*?)\n^```$/gms)].map(([, text]) => text)

it('shows the help of every command in docs/cli.md, and nothing else', () => {
  const helps = [overview(), ...commandNames.map((name) => helpOf(name, commands[name]))]
  expect(blocks.toSorted()).toEqual(helps.toSorted())
})

it('lists every exit code in docs/cli.md', () => {
  const rows = Object.values(exitCodes).map(({ code, when }) => `| ${code} | ${when} |`)
  expect(page).toContain(rows.join('\n'))
})

it('lists every command in the README', () => {
  for (const name of commandNames) {
    const { usage, summary } = commands[name]
    const words = ['oriel', name, usage.replaceAll('|', '\\|')].filter(Boolean).join(' ')
    expect(readme).toContain(`| \`${words}\` | ${summary} |`)
  }
})
