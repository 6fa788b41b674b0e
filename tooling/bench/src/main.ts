/**
 * Runs the measurements. All of them, at full size, are written into docs/performance.md; with `--only` those that are
 * named. `--quick` runs small ones and writes nothing; `--soak MINUTES` runs mixed load instead.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { isMeasurement, type MeasurementName, measurements } from './registry.ts'
import { replaceSection, section } from './report.ts'
import { soak } from './soak.ts'

const PAGE = new URL('../../../docs/performance.md', import.meta.url)

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, only: { type: 'string', multiple: true }, soak: { type: 'string' } },
})
const script = process.env.npm_lifecycle_event ?? 'bench'
const command = ['npm run', script, ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ')

if (values.soak !== undefined) await runSoak(Number(values.soak || 30))
else for (const name of chosen(values.only)) await runOne(name)

async function runOne(name: MeasurementName): Promise<void> {
  const { title, method, run } = measurements[name]
  const outcome = await run(values.quick ? 'quick' : 'full')
  const text = section(title, method, outcome, command)
  process.stdout.write(`${text}\n\n`)
  if (!values.quick) await write(name, text)
  if (!values.quick && outcome.verdicts.some(({ met }) => met === false)) process.exitCode = 1
}

async function runSoak(minutes: number): Promise<void> {
  if (!(minutes > 0)) throw new TypeError('--soak takes minutes')
  const { title, method, outcome } = await soak({ minutes, say: (line) => void process.stdout.write(`${line}\n`) })
  const text = section(title, method, outcome, command)
  process.stdout.write(`${text}\n`)
  await write('soak', text)
  if (outcome.verdicts.some(({ met }) => met === false)) process.exitCode = 1
}

async function write(name: string, text: string): Promise<void> {
  await writeFile(PAGE, replaceSection(await readFile(PAGE, 'utf8'), name, text))
}

function chosen(only: readonly string[] | undefined): MeasurementName[] {
  if (only === undefined) return Object.keys(measurements).filter(isMeasurement)
  return only.map((name) => {
    if (isMeasurement(name)) return name
    throw new TypeError(`there is no measurement ${name}; there are ${Object.keys(measurements).join(', ')}`)
  })
}
