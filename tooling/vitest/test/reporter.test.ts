/** Runs vitest as a separate process, because only vitest itself calls a reporter. */
import { execFile } from 'node:child_process'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const REPORTER = fileURLToPath(new URL('../reporter.ts', import.meta.url))
const VITEST = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')

test('a run ends with its skipped tests and their reasons, and with the counts of tests', async () => {
  const out = await runOf({
    'guests.test.js': `
      describe.skipIf(true)('guests (skipped without qemu: install it)', () => {
        it('boot', () => {})
        describe('in depth', () => { it('halt', () => {}) })
      })
      it('runs', () => {})`,
    'others.test.js': `
      it('fails', () => { throw new Error('on purpose') })
      it.skip('waits', () => {})`,
    'broken.test.js': 'throw new Error("on purpose")',
  })
  expect(out.trimEnd().split('\n').slice(-3).sort()).toEqual([
    '1 passed, 2 failed, 3 skipped',
    '1 skipped in others.test.js',
    '2 skipped in guests.test.js: guests (skipped without qemu: install it)',
  ])
})

test('a run without skipped tests prints no line about them', async () => {
  const out = await runOf({ 'one.test.js': `it('runs', () => {})` })
  expect(out.trimEnd().split('\n').slice(-2)).toEqual(['', '1 passed, 0 failed, 0 skipped'])
})

/** Runs vitest on these files and returns its output. */
async function runOf(files: Readonly<Record<string, string>>): Promise<string> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-run-'))
  const config = `
    import { ClosingLine } from ${JSON.stringify(REPORTER)}
    export default { test: { globals: true, reporters: ['default', new ClosingLine()], include: ['*.test.js'] } }`
  for (const [name, text] of Object.entries({ ...files, 'vitest.config.mjs': config })) {
    await writeFile(join(folder.path, name), text)
  }
  const args = [VITEST, 'run', '--root', folder.path, '--config', join(folder.path, 'vitest.config.mjs')]
  const { promise, resolve } = Promise.withResolvers<string>()
  execFile(process.execPath, args, (_, stdout) => resolve(stdout))
  return await promise
}
