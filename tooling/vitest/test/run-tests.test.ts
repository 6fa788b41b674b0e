/** Runs the test runner as a program on small projects, and compares its exit code and last lines. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const RUNNER = fileURLToPath(new URL('../run-tests.ts', import.meta.url))
const REPORTER = fileURLToPath(new URL('../reporter.ts', import.meta.url))
const CONFIG = `
  import { ClosingLine } from ${JSON.stringify(REPORTER)}
  const project = (name) => ({ test: { name, globals: true, include: [name + '/*.test.js'] } })
  export default { test: { reporters: ['default', new ClosingLine()], projects: [project('unit'), project('e2e')] } }`

const passes = `it('passes', () => {})`
const fails = `it('fails', () => { throw new Error('on purpose') })`
const skips = `it.skip('is skipped', () => {})`
/** A test that fails only in the first run: that run leaves a file which makes the next one pass. */
const failsOnce = (failure: string) => `
  import { existsSync, writeFileSync } from 'node:fs'
  const mark = new URL('ran', import.meta.url)
  const isFirst = !existsSync(mark)
  writeFileSync(mark, '')
  const failure = () => { if (isFirst) { ${failure} } }`
const flaky = `${failsOnce("throw new Error('on purpose')")}\n${passes}\nit('fails once', failure)\n${skips}`

describe('a run with CI=true', () => {
  test('ends with its stages, its skipped tests and its counts', async () => {
    const { code, lines } = await run({ 'unit/a.test.js': passes, 'e2e/b.test.js': `${passes}\n${skips}` })
    expect(code).toBe(0)
    expect(lines.slice(-7)).toEqual([
      expect.stringMatching(/^stage +seconds$/),
      expect.stringMatching(/^build +12$/),
      expect.stringMatching(/^unit, conformance +\d+$/),
      expect.stringMatching(/^e2e +\d+$/),
      '',
      '1 skipped in e2e/b.test.js',
      '2 passed, 0 failed, 1 skipped',
    ])
    expect(lines.filter((line) => / failed, /.test(line))).toHaveLength(1)
  })

  test('succeeds and names a failed file of e2e as flaky if it passes when rerun', async () => {
    const { code, lines } = await run({ 'unit/a.test.js': passes, 'e2e/b.test.js': flaky, 'e2e/c.test.js': passes })
    expect(code).toBe(0)
    expect(lines.slice(-2)).toEqual(['flaky: e2e/b.test.js', '4 passed, 0 failed, 1 skipped'])
    expect(lines).toContainEqual(expect.stringMatching(/^e2e again: e2e\/b\.test\.js +\d+$/))
  })

  test('reruns a file of e2e that could not be loaded', async () => {
    const { code, lines } = await run({
      'unit/a.test.js': passes,
      'e2e/b.test.js': `${failsOnce("throw new Error('on purpose')")}\nfailure()\n${passes}`,
    })
    expect(code).toBe(0)
    expect(lines.slice(-2)).toEqual(['flaky: e2e/b.test.js', '2 passed, 0 failed, 0 skipped'])
  })

  test('reruns a file of e2e with an error outside of its tests', async () => {
    const late = `setTimeout(() => { throw new Error('on purpose') }); await new Promise((resolve) => setTimeout(resolve, 50))`
    const { code, lines } = await run({
      'unit/a.test.js': passes,
      'e2e/b.test.js': `${failsOnce('')}\nit('throws late', async () => { if (isFirst) { ${late} } })`,
    })
    expect(code).toBe(0)
    expect(lines.slice(-2)).toEqual(['flaky: e2e/b.test.js', '2 passed, 0 failed, 0 skipped'])
  })

  test('fails if a file of e2e fails twice, and does not name it as flaky', async () => {
    const { code, lines } = await run({ 'unit/a.test.js': passes, 'e2e/b.test.js': `${fails}\n${passes}` })
    expect(code).toBe(1)
    expect(lines.at(-1)).toBe('2 passed, 1 failed, 0 skipped')
    expect(lines.join('\n')).not.toContain('flaky')
  })

  test('fails if one file fails twice and another one is flaky', async () => {
    const { code, lines } = await run({ 'unit/a.test.js': passes, 'e2e/b.test.js': flaky, 'e2e/c.test.js': fails })
    expect(code).toBe(1)
    expect(lines.slice(-2)).toEqual(['flaky: e2e/b.test.js', '3 passed, 1 failed, 1 skipped'])
  })

  test('does not rerun a unit test', async () => {
    const { code, lines } = await run({ 'unit/a.test.js': flaky, 'e2e/b.test.js': passes })
    expect(code).toBe(1)
    expect(lines.at(-1)).toBe('2 passed, 1 failed, 1 skipped')
  })

  test('fails if a unit test cannot be loaded', async () => {
    const { code, lines } = await run({ 'unit/a.test.js': `throw new Error('on purpose')`, 'e2e/b.test.js': passes })
    expect(code).toBe(1)
    expect(lines.at(-1)).toBe('1 passed, 1 failed, 0 skipped')
  })

  test('fails if a project has no test', async () => {
    const { code, lines } = await run({ 'unit/a.test.js': passes })
    expect(code).toBe(1)
    expect(lines.at(-1)).toBe('1 passed, 1 failed, 0 skipped')
  })
})

test('a run without CI=true reruns no file', async () => {
  const { code, lines } = await run({ 'unit/a.test.js': passes, 'e2e/b.test.js': flaky }, { CI: '' })
  expect(code).toBe(1)
  expect(lines.at(-1)).toBe('2 passed, 1 failed, 1 skipped')
})

/** Runs the test runner on these files, with one earlier stage in `STAGES`. */
async function run(files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-run-'))
  const at = (name: string) => join(folder.path, name)
  for (const [name, text] of Object.entries({ ...files, 'vitest.config.mjs': CONFIG, stages: 'build\t12\n' })) {
    await mkdir(dirname(at(name)), { recursive: true })
    await writeFile(at(name), text)
  }
  const options = { cwd: folder.path, env: { ...process.env, CI: 'true', STAGES: at('stages'), ...env } }
  const { promise, resolve } = Promise.withResolvers<{ code: number | null; lines: string[] }>()
  const child = execFile(process.execPath, [RUNNER], options, (_, stdout) =>
    resolve({ code: child.exitCode, lines: stdout.trimEnd().split('\n') }),
  )
  return await promise
}
