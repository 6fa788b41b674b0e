/**
 * Checks that the published packages work outside this workspace. Packs them, lints the tarballs, and installs
 * them into a copy of each fixture beside this file and of each example app, in a temporary folder. There they must compile
 * without `skipLibCheck`, and run; the examples are driven in Chromium against the built demo. Exits with 1 at the first fault. An
 * argument names a folder with tarballs to check instead.
 */
import { execFile, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../..')
const published = ['contract', 'sdk', 'console', 'elements']
const [released] = process.argv.slice(2)
const TIMEOUT_MS = 180_000
const execute = promisify(execFile)

const folder = mkdtempSync(join(tmpdir(), 'oriel-consumers-'))
try {
  const tarballs = published.map(packed)
  for (const tarball of tarballs) lint(tarball)
  const libraries = tarballs.slice(0, published.indexOf('elements'))
  await compileAndRun('nodenext', libraries, [`@types/node@${versionOf('@types/node')}`], (out) =>
    run(process.execPath, [out]),
  )
  await compileAndRun('bundler', libraries, [], async (out) => run(process.execPath, [await bundle(out)]))
  await compileAndRun('elements', tarballs, [], checkElements)
  await compileTemplates(tarballs)
  await runCommand()
  await runExamples(tarballs)
  say('The published packages compile and run outside the workspace.')
} catch (error) {
  say((error as Error).message)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** Builds a library, packs it, and returns the tarball. */
function packed(name: string): string {
  if (released !== undefined) return tarballIn(released, name)
  const source = join(root, 'packages', name)
  run(bin('tsc'), ['-p', join(source, 'tsconfig.build.json')])
  refuseLeftovers(source)
  return pack(name, source)
}

function pack(name: string, source: string): string {
  run('npx', ['--prefer-offline', '-y', packageManager(), 'pack', '--pack-destination', folder], source)
  return tarballIn(folder, name)
}

function tarballIn(folder: string, name: string): string {
  const file = readdirSync(folder).find((entry) => entry.startsWith(`oriel-${name}-`) && entry.endsWith('.tgz'))
  if (file === undefined) throw new Error(`${folder} has no tarball of ${name}`)
  return join(folder, file)
}

function lint(tarball: string): void {
  run(bin('publint'), [tarball, '--strict'])
  run(bin('attw'), [tarball, '--profile', 'esm-only'])
  checkContents(tarball)
}

function checkContents(tarball: string): void {
  const files = run('tar', ['-tzf', tarball]).split('\n')
  for (const needed of ['README.md', 'LICENSE']) {
    if (!files.includes(`package/${needed}`)) throw new Error(`${basename(tarball)} has no ${needed}`)
  }
  const manifest = run('tar', ['-xzOf', tarball, 'package/package.json'])
  const local = /"(workspace|catalog):|@oriel\/source/.exec(manifest)
  if (local) throw new Error(`The manifest in ${basename(tarball)} holds ${local[0]}, which means something only here`)
}

async function compileAndRun(name: string, tarballs: string[], more: string[], start: (out: string) => unknown) {
  const consumer = await installed(name, tarballs, more)
  run(bin('tsc'), ['-p', 'tsconfig.json'], consumer)
  await start(join(consumer, 'out/main.js'))
  say(`${name}: compiles and runs`)
}

async function compileTemplates(tarballs: string[]): Promise<void> {
  const frameworks = ['react-19', 'react-18', 'vue']
  const consumers = await Promise.all(frameworks.map((name) => installed(name, tarballs)))
  const compilers = [bin('tsc'), bin('tsc'), 'node_modules/.bin/vue-tsc']
  for (const [index, consumer] of consumers.entries()) run(compilers[index]!, ['-p', 'tsconfig.json'], consumer)
  say(`${frameworks.join(', ')}: their templates compile`)
}

/**
 * Copies a fixture, or a folder of `from`, and installs the tarballs and `more` into the copy. Resolves to its folder. Most of
 * the time npm waits for the registry, so several of these can run at once.
 */
async function installed(name: string, tarballs: string[], more: string[] = [], from = import.meta.dirname) {
  const consumer = join(folder, name)
  cpSync(join(from, name), consumer, { recursive: true, filter: (path) => !/\/(node_modules|dist)$/.test(path) })
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock']
  await execute('npm', ['install', ...quiet, ...tarballs, ...more], { cwd: consumer, timeout: TIMEOUT_MS })
  return consumer
}

/** A bundler must keep the elements although the page imports nothing from them. */
async function checkElements(out: string): Promise<void> {
  const folder = join(await bundle(out), '..')
  const code = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n')
  for (const name of ['oriel-vnc', 'oriel-serial', 'oriel-spice']) {
    if (!new RegExp(`\\.define\\([\`"']${name}[\`"']`).test(code))
      throw new Error(`The bundle does not define <${name}>`)
  }
}

/** Builds and packs the command, installs it without anything else, and runs it. */
async function runCommand(): Promise<void> {
  const source = join(root, 'packages/cli')
  if (released === undefined) run(process.execPath, ['build.ts'], source)
  const tarball = released === undefined ? pack('cli', source) : tarballIn(released, 'cli')
  run(bin('publint'), [tarball, '--strict'])
  checkContents(tarball)
  const consumer = join(folder, 'cli')
  mkdirSync(consumer)
  run('npm', ['init', '-y'], consumer)
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball], consumer)
  run(join(consumer, 'node_modules/.bin/oriel'), ['--version'], consumer)
  say('cli: installs alone and runs')
}

/** Installs the example apps by their own `package.json`, builds those that have something to build, and drives them in Chromium. */
async function runExamples(tarballs: string[]): Promise<void> {
  const needed = { html: tarballs, react: tarballs, hono: tarballs.slice(0, 2), express: tarballs.slice(0, 2) }
  const from = join(root, 'examples')
  const installing = Object.entries(needed).map(([name, packages]) => installed(name, packages, [], from))
  for (const app of await Promise.all(installing)) run('npm', ['run', '--silent', '--if-present', 'build'], app)
  say(run(process.execPath, ['--conditions=@oriel/source', 'tests/e2e/examples/main.ts', folder]).trimEnd())
}

/** Bundles `entry` for browsers. Node can run the result, because it uses only the web's standard objects. */
async function bundle(entry: string): Promise<string> {
  const { resolve } = createRequire(join(root, 'packages/sdk/package.json'))
  const { rolldown } = await import(pathToFileURL(resolve('rolldown')).href)
  const dir = join(entry, '../../bundled')
  const made = await rolldown({ input: entry, platform: 'browser' })
  await made.write({ dir, format: 'esm', minify: true, entryFileNames: 'main.mjs', chunkFileNames: '[name].mjs' })
  await made.close()
  return join(dir, 'main.mjs')
}

// `tsc` does not delete files of an earlier build, and `dist` is published as a whole.
function refuseLeftovers(source: string): void {
  const built = readdirSync(join(source, 'dist'), { recursive: true, encoding: 'utf8' })
  const stale = built.filter(
    // The pages of the elements are bundles, which stay out of the package.
    (file) =>
      file.endsWith('.js') && !file.startsWith('pages/') && !existsSync(join(source, 'src', file.replace(/js$/, 'ts'))),
  )
  if (stale.length > 0)
    throw new Error(`${join(source, 'dist')} holds what has no source any more: ${stale.join(', ')}`)
}

/** Runs a command and returns its output. Throws an error with the output if the command fails. */
function run(command: string, args: string[], cwd = root): string {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: TIMEOUT_MS })
  if (status === 0) return stdout
  throw new Error(
    `${basename(command)} ${args.join(' ')}\nfailed in ${cwd}: ${error ?? `exit ${status}`}\n${stdout}${stderr}`,
  )
}

function packageManager(): string {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager
}

function versionOf(name: string): string {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version
}

function bin(name: string): string {
  return join(root, 'node_modules/.bin', name)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
