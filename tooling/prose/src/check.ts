/**
 * Refuses phrases that hide who does what in the comments of the workspace's TypeScript.
 *
 * `node tooling/prose/src/check.ts` ends with exit code 1 if it finds a phrase.
 */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { findings } from './findings.ts'

const FOLDERS: readonly string[] = ['apps', 'examples', 'packages', 'tests', 'tooling']

const cwd = fileURLToPath(new URL('../../../', import.meta.url))
const found = filesIn(FOLDERS).flatMap((file) =>
  findings(file, readFileSync(`${cwd}${file}`, 'utf8')).map(
    ({ line, text, instead }) => `${file}:${line}: "${text}": ${instead}\n`,
  ),
)
process.stdout.write(found.join(''))
if (found.length > 0) process.stdout.write(`${found.length} phrases in comments hide who does what\n`)
process.exitCode = found.length > 0 ? 1 : 0

function filesIn(folders: readonly string[]): readonly string[] {
  const exclude = ['**/node_modules/**', '**/dist/**']
  return globSync(
    folders.map((folder) => `${folder}/**/*.{ts,tsx,mts}`),
    { cwd, exclude },
  ).toSorted()
}
