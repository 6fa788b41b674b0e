/**
 * `npm run test:changed -- [COMMIT]`: runs the unit tests that are nearest to the changes since COMMIT (default: HEAD). An
 * end-to-end test that quotes a lost text is only named, because it needs a build. `npm test` runs everything.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { type Change, selectTests, type Tests } from './select.ts'

const since = process.argv[2] ?? 'HEAD'
const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8', maxBuffer: 2 ** 26 })
const lines = (text: string) => text.split('\n').filter((line) => line !== '')

const tracked = lines(git('ls-files', '--cached', '--others', '--exclude-standard')).filter((file) => existsSync(file))
const { tests, withoutCode } = selectTests(changes(), testsIn(tracked))
const [unit, e2e] = [tests.filter((test) => !isE2e(test)), tests.filter(isE2e)]

for (const file of withoutCode) process.stdout.write(`needs no test, only comments or layout differ: ${file}\n`)
for (const file of e2e) process.stdout.write(`quotes a changed text, run it after a build: ${file}\n`)
if (unit.length === 0) process.stdout.write('no unit test is near the changes\n')
else process.exitCode = spawnSync('vitest', ['run', '--project', 'unit*', ...unit], { stdio: 'inherit' }).status ?? 1

function changes(): Change[] {
  const changed = [
    ...lines(git('diff', '--name-only', since)),
    ...lines(git('ls-files', '--others', '--exclude-standard')),
  ]
  return changed.map((file) => ({ file, before: atCommit(file), after: present(file) }))
}

function atCommit(file: string): string | undefined {
  const isThere = lines(git('ls-tree', '--name-only', since, '--', file)).length > 0
  return isThere ? git('show', `${since}:./${file}`) : undefined
}

function present(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

function testsIn(files: readonly string[]): Tests {
  const tests = files.filter((file) => file.endsWith('.test.ts') && !file.startsWith('tests/conformance/'))
  return new Map(tests.map((file) => [file, readFileSync(file, 'utf8')]))
}

function isE2e(file: string): boolean {
  return file.startsWith('tests/e2e/')
}
