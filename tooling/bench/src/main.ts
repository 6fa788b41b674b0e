/**
 * Runs the measurements and writes their results into docs/performance.md. `--only` selects measurements by name.
 * `--quick` runs small ones and writes nothing. `--soak MINUTES` runs mixed load instead; `--chaos MINUTES` injects
 * faults in random order, which `--seed N` repeats. `--boots N` sets how many guests the measurement `boots` boots, and
 * `--minutes N` how long `typing` types.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { comparesBuilds } from './candidates.ts'
import { chaos } from './chaos/run.ts'
import type { Measurement, Settings } from './measurement.ts'
import { isMeasurement, type MeasurementName, measurements } from './registry.ts'
import { type Measured, replaceSection, section } from './report.ts'
import { soak } from './soak.ts'

const PAGE = new URL('../../../docs/performance.md', import.meta.url)

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    only: { type: 'string', multiple: true },
    soak: { type: 'string' },
    chaos: { type: 'string' },
    seed: { type: 'string' },
    boots: { type: 'string' },
    minutes: { type: 'string' },
  },
})
const script = process.env.npm_lifecycle_event ?? 'bench'
const command = ['npm run', script, ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ')

const settings: Settings = {
  ...(values.boots !== undefined && { boots: countOf(values.boots) }),
  ...(values.minutes !== undefined && { minutes: minutesOf('minutes', values.minutes) }),
}

if (values.soak !== undefined) await runSoak(minutesOf('soak', values.soak))
else if (values.chaos !== undefined) await runChaos(minutesOf('chaos', values.chaos), seedOf(values.seed))
else for (const name of chosen(values.only)) await runOne(name)

async function runOne(name: MeasurementName): Promise<void> {
  const { title, method, run }: Measurement = measurements[name]
  const outcome = await run(values.quick ? 'quick' : 'full', settings)
  const text = section(title, method, outcome, command)
  process.stdout.write(`${text}\n\n`)
  if (!values.quick && !comparesBuilds) await write(name, text)
  if (!values.quick && outcome.verdicts.some(({ met }) => met === false)) process.exitCode = 1
}

async function runSoak(minutes: number): Promise<void> {
  await publish('soak', await soak({ minutes, say }))
}

async function runChaos(minutes: number, seed: number): Promise<void> {
  await publish('chaos', await chaos({ minutes, seed, say }))
}

async function publish(name: 'soak' | 'chaos', { title, method, outcome }: Measured): Promise<void> {
  const text = section(title, method, outcome, command)
  process.stdout.write(`${text}\n`)
  await write(name, text)
  if (outcome.verdicts.some(({ met }) => met === false)) process.exitCode = 1
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function minutesOf(option: string, text: string): number {
  const minutes = Number(text)
  if (!(minutes > 0)) throw new TypeError(`--${option} takes minutes`)
  return minutes
}

function countOf(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1) throw new TypeError('--boots takes a whole number above 0')
  return count
}

function seedOf(text = String(Date.now() % 2 ** 32)): number {
  const seed = Number(text)
  if (!Number.isInteger(seed)) throw new TypeError('--seed takes a whole number')
  return seed
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
