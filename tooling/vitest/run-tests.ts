/**
 * Runs all tests of the workspace. With CI=true, it reruns each failed file of `e2e` and `e2e-alone` once, alone, at the end. If the
 * file passes then, the run succeeds and reports the file as flaky. Other tests are never rerun.
 */
import { resolve } from 'node:path'
import { failedFiles, type ProjectRun, runProject } from './run-project.ts'
import { type Stage, stageTable } from './stages.ts'
import { closingLines, type Tally } from './tally.ts'

const stages: Stage[] = []
// For the programs and threads that tests start: one from its sources takes half the time if Node has stripped their types
// before, a built one three quarters if Node has compiled it before.
process.env.NODE_COMPILE_CACHE ??= resolve('node_modules/.cache/node-compile')
const once = await inStage('unit, conformance', () => runProject('!e2e*'))
const first = await inStage('e2e', () => runProject('e2e*'))
const again = new Map<string, Tally>()
for (const file of process.env.CI === 'true' ? failedFiles(first) : []) {
  const { tallies, elsewhere } = await inStage(`e2e again: ${file}`, () => runProject('e2e*', file))
  const tally = tallies.get(file)
  // If the second run has no result for the file, the first result stays.
  if (tally) again.set(file, { ...tally, failed: tally.failed + elsewhere })
}

const flaky = [...again].filter(([, { failed }]) => failed === 0).map(([file]) => `flaky: ${file}`)
const tallies = [...new Map([...once.tallies, ...first.tallies, ...again]).values()]
const elsewhere = once.elsewhere + first.elsewhere
process.stdout.write(`\n${stageTable(stages)}${closingLines(tallies, elsewhere, flaky)}`)
process.exit(elsewhere > 0 || tallies.some(({ failed }) => failed > 0) ? 1 : 0)

async function inStage(name: string, run: () => Promise<ProjectRun>): Promise<ProjectRun> {
  const start = performance.now()
  const result = await run()
  stages.push({ name, seconds: Math.round((performance.now() - start) / 1000) })
  return result
}
