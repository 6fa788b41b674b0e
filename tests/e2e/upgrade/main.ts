/**
 * Upgrades a fleet of two apis and two proxies from another version to this one and back, one program at a time, while 50 consoles
 * are open and clients create consoles. Prints what they saw. Exits with 1 if something that was answered is lost.
 *
 *     npm run upgrade-test -- --from REF     # a tag or commit. Default: the newest tag before this commit
 *
 * Needs the repository's history, HAProxy and PostgreSQL. Not a part of `npm test`, because it installs and builds that version.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { temporaryFolder } from '@oriel/testkit'
import { programFile } from '../parts/oriel.ts'
import { DRAINING, type Fleet, type Report, startFleet, startLoad, type Version } from '../parts/rolling-fleet.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const run = promisify(execFile)
const git = async (...args: string[]) => (await run('git', args, { cwd: root })).stdout.trim()
const EXPECTED_CLOSES = ['1001 The console proxy is restarting.', DRAINING]

const say = (line: string) => process.stdout.write(`${line}\n`)

const { values } = parseArgs({ options: { from: { type: 'string' } } })
const from = values.from ?? (await newestTag())
await using folder = await temporaryFolder()
const before = await build(from, folder.path)
const current: Version = { name: 'this version', api: programFile('api'), proxy: programFile('proxy') }
await using fleet = await startFleet(before)
const there = await under(`${before.name} to this version`, fleet, () => fleet.replace(current))
// In the reverse order: a proxy may need an API of its own version or a newer one.
const back = await under(`this version to ${before.name}`, fleet, () => fleet.replace(before, ['proxy', 'api']))
process.exitCode = there && back ? 0 : 1

async function newestTag(): Promise<string> {
  return git('describe', '--tags', '--abbrev=0', 'HEAD^').catch(() => {
    throw new Error('there is no tag before this commit: give a commit, --from REF')
  })
}

/** Installs and builds the programs of `ref` in `folder`. */
async function build(ref: string, folder: string): Promise<Version> {
  const commit = await git('rev-parse', '--short', `${ref}^{commit}`)
  say(`building ${ref} (${commit})`)
  await shell('git archive "$1" | tar -x -C "$2"', root, commit, folder)
  await shell(
    'npm run -s setup >/dev/null && npm run -s turbo -- run build --filter=oriel-api --filter=oriel-proxy >/dev/null',
    folder,
  )
  const file = (app: string) => join(folder, 'apps', app, 'dist/main.js')
  return { name: `${ref} (${commit})`, api: file('api'), proxy: file('proxy') }
}

async function shell(script: string, cwd: string, ...args: string[]): Promise<void> {
  const child = spawn('bash', ['-c', `set -eo pipefail; ${script}`, 'sh', ...args], {
    cwd,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`failed in ${cwd}: ${script}`)
}

/** Replaces programs under load, prints the report, and returns whether nothing is lost. */
async function under(title: string, fleet: Fleet, replace: () => Promise<void>): Promise<boolean> {
  const load = await startLoad(fleet)
  const fault = await replace().then(
    () => undefined,
    (error: unknown) => String(error),
  )
  const report = await load.finish()
  print(title, report, fault)
  const others = [...report.closes.keys()].filter((reason) => !EXPECTED_CLOSES.includes(reason))
  return fault === undefined && [report.failedRequests, report.failedDials, others].every(({ length }) => length === 0)
}

function print(title: string, report: Report, fault: string | undefined): void {
  say(`\n${title}`)
  if (fault !== undefined) say(`  stopped half way: ${fault}`)
  say(`  consoles created, and found at once and at the end: ${report.minted}`)
  for (const line of report.failedRequests) say(`  failed request: ${line}`)
  say(`  echoes of open consoles: ${report.echoes}`)
  for (const [reason, times] of report.closes) say(`  closed ${times} times: ${reason}`)
  for (const line of report.failedDials) say(`  failed to open again: ${line}`)
  say(`  longest time that a console was closed: ${Math.round(report.longestGapMs)} ms`)
}
