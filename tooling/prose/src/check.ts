/**
 * Refuses phrases that hide who does what in the comments of the workspace's TypeScript.
 *
 * `node tooling/prose/src/check.ts` checks the folders in {@link CLEAN} and ends with exit code 1 if it finds a phrase.
 * `--report` lists the phrases of all folders, and always ends with exit code 0.
 */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { findings } from './findings.ts'

/** Folders without such a phrase. To check the whole workspace, replace them with {@link ALL}. */
const CLEAN: readonly string[] = [
  'apps',
  'packages/api',
  'packages/contract',
  'packages/elements',
  'packages/runtime',
  'packages/sdk',
  'tests',
  'tooling',
]
const ALL: readonly string[] = ['apps', 'packages', 'tests', 'tooling']

const cwd = fileURLToPath(new URL('../../../', import.meta.url))
const reportOnly = process.argv.includes('--report')
const found = filesIn(reportOnly ? ALL : CLEAN).flatMap((file) =>
  findings(file, readFileSync(`${cwd}${file}`, 'utf8')).map(
    ({ line, text, instead }) => `${file}:${line}: "${text}": ${instead}\n`,
  ),
)
process.stdout.write(found.join(''))
if (found.length > 0) process.stdout.write(`${found.length} phrases in comments hide who does what\n`)
process.exitCode = found.length > 0 && !reportOnly ? 1 : 0

function filesIn(folders: readonly string[]): readonly string[] {
  const exclude = ['**/node_modules/**', '**/dist/**']
  return globSync(
    folders.map((folder) => `${folder}/**/*.{ts,tsx,mts}`),
    { cwd, exclude },
  ).toSorted()
}
