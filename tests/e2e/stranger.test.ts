/**
 * The stranger's task: CONTRIBUTING.md alone leads from a clean copy of the workspace to a new microversion with a new console type
 * that opens. `fixtures/stranger/vnc-direct.patch` is that person's work.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, readFile, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { LATEST, minor } from '@oriel/contract'
import { type TemporaryFolder, temporaryFolder } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const patchFile = 'tests/e2e/fixtures/stranger/vnc-direct.patch'
const next = `2.${minor(LATEST) + 1}`

/** In the order of CONTRIBUTING.md. The unit tests are those of the files that the patch touches, without the slow ones. */
const steps = {
  'writes the reference': [['--conditions=@oriel/source', 'tooling/docs/src/generate.ts']],
  'type-checks': [
    ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'],
    ['node_modules/typescript/bin/tsc', '-p', 'packages/elements/tsconfig.json'],
  ],
  'passes the unit tests': [
    vitest('unit*', [
      'packages/contract/test/',
      'packages/sdk/test/types.test.ts',
      'packages/sdk/test/package.test.ts',
      'packages/sdk/test/client.test.ts',
      'packages/elements/test/',
      'packages/proxy/test/consoles/',
      'packages/api/test/consoles/',
      'packages/api/test/config.test.ts',
      'tooling/docs/test/pages.test.ts',
      'tooling/docs/test/links.test.ts',
      'tooling/docs/test/console-types.test.ts',
    ]),
  ],
  'replays the recordings': [['--conditions=@oriel/source', 'apps/api/build.ts'], vitest('conformance', [])],
  'opens the console, from the API to the bytes of the hypervisor': [
    ['packages/elements/build.ts'],
    ['--conditions=@oriel/source', 'apps/oriel/build.ts'],
    vitest('e2e', ['tests/e2e/vnc-direct.test.ts']),
  ],
}

describe('a stranger who follows CONTRIBUTING.md', () => {
  let folder: TemporaryFolder
  let workspace: string

  beforeAll(async () => {
    folder = await temporaryFolder()
    workspace = join(folder.path, 'workspace')
    await copyWorkspace(workspace)
    await raiseLatest(workspace)
    await applyPatch(workspace)
  })
  afterAll(() => folder[Symbol.asyncDispose]())

  it('changes only files that CONTRIBUTING.md names', async () => {
    const named = await filesNamedInSteps()
    const patch = await readFile(join(root, patchFile), 'utf8')
    const changed = [...patch.matchAll(/^\+\+\+ b\/(.+)$/gm)].map(([, file]) => file!)
    expect(changed.length).toBeGreaterThan(9)
    const isNamed = (file: string) =>
      named.some((name) => file === name || (name.endsWith('/') && file.startsWith(name)))
    expect(changed.filter((file) => !isNamed(file))).toEqual([])
  })

  it('finds every file that CONTRIBUTING.md names', async () => {
    const named = await filesNamedInSteps()
    expect(named.filter((name) => !existsSync(join(workspace, name)))).toEqual([])
  })

  it.for(Object.entries(steps))('%s', { timeout: 300_000 }, async ([, commands], { signal }) => {
    for (const args of commands) await runNode(args, workspace, signal)
  })
})

function vitest(project: string, files: readonly string[]): readonly string[] {
  return ['node_modules/vitest/vitest.mjs', 'run', '--reporter=dot', '--project', project, ...files]
}

/** The paths in the introduction of CONTRIBUTING.md and in its steps to a microversion and to a console type. */
async function filesNamedInSteps(): Promise<readonly string[]> {
  const [introduction, ...sections] = (await readFile(join(root, 'CONTRIBUTING.md'), 'utf8')).split(/^## /m)
  const steps = sections.filter((section) => /^Add a (microversion|console type)\n/.test(section))
  expect(steps).toHaveLength(2)
  return [introduction!, ...steps].flatMap((text) =>
    [...text.matchAll(/`([\w.-]+\/[\w./-]*)`/g)].map(([, path]) => path!),
  )
}

/**
 * Copies the workspace without the output of builds and tests. Its links are relative: links between the packages of the
 * workspace lead to the copies. The packages of the registry stay where they are, behind one link.
 */
async function copyWorkspace(to: string): Promise<void> {
  const omitted = new Set(['.git', '.turbo', 'dist', 'coverage'])
  // The shared packages, in .pnpm, and caches.
  const isInternal = (path: string) => basename(dirname(path)) === 'node_modules' && /^\.(?!bin$)/.test(basename(path))
  await cp(root, to, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !omitted.has(basename(path)) && !isInternal(path),
  })
  await symlink(join(root, 'node_modules/.pnpm'), join(to, 'node_modules/.pnpm'))
}

async function raiseLatest(workspace: string): Promise<void> {
  const file = join(workspace, 'packages/contract/src/microversions.ts')
  const source = await readFile(file, 'utf8')
  const line = `export const LATEST = '${LATEST}'`
  expect(source).toContain(line)
  await writeFile(file, source.replace(line, `export const LATEST = '${next}'`))
}

async function applyPatch(workspace: string): Promise<void> {
  const template = await readFile(join(root, patchFile), 'utf8')
  const patch = join(dirname(workspace), 'applied.patch')
  await writeFile(patch, template.replaceAll('{{next}}', next).replaceAll('{{latest}}', LATEST))
  // Without the ceiling, git would look for a repository around the temporary folder and take its root for the patch's.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(workspace) }
  try {
    await promisify(execFile)('git', ['apply', patch], { cwd: workspace, env })
  } catch (cause) {
    throw new Error(`${patchFile} does not apply. ${(cause as Error).message}\n${remedy}`, { cause })
  }
}

const remedy = `The lines beside the patch have changed. Write it anew, in a clean work tree:
1. Raise LATEST to ${next} and follow CONTRIBUTING.md for the console type vnc-direct of the protocol vnc. The patch shows how.
2. git add --intent-to-add .
3. git diff -U1 -- . ':!docs/api.html' ':!docs/configuration.md' > ${patchFile}
4. In the patch, delete the change of LATEST, and write {{next}} for ${next} and {{latest}} for ${LATEST}.`

/** Runs Node in `workspace`, without the variables that Vitest sets for its own workers. */
async function runNode(args: readonly string[], workspace: string, signal: AbortSignal): Promise<void> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST')))
  try {
    await promisify(execFile)(process.execPath, args, { cwd: workspace, env, signal, maxBuffer: 64 * 1024 * 1024 })
  } catch (cause) {
    const { stdout = '', stderr = '' } = cause as { stdout?: string; stderr?: string }
    throw new Error(`node ${args.join(' ')} failed in the copy:\n${stdout}${stderr}`.slice(-20_000), { cause })
  }
}
