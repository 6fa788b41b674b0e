/**
 * Runs every test of the workspace. With CI=true, a file of `e2e` that failed is run once more, alone, at the end: if it
 * passes then, the run is green and names the file as flaky. No other test is run twice.
 */
import { failedFiles, type ProjectRun, runProject } from './run-project.ts'
import { type Stage, stageTable } from './stages.ts'
import { closingLines, type Tally } from './tally.ts'

const stages: Stage[] = []
const once = await inStage('unit, conformance', () => runProject('!e2e'))
const first = await inStage('e2e', () => runProject('e2e'))
const again = new Map<string, Tally>()
for (const file of process.env.CI === 'true' ? failedFiles(first) : []) {
  const { tallies, elsewhere } = await inStage(`e2e again: ${file}`, () => runProject('e2e', file))
  const tally = tallies.get(file)
  // A second run that does not reach the file leaves its first result.
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
