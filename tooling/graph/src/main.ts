/**
 * `npm run graph`: prints the size of the import graph and all violations of the import rule. `--check` fails on one.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { type Findings, findViolations } from './measure.ts'
import { folderOrders } from './order.ts'

const PROXY = 'packages/proxy/src'

const findings = await findViolations(process.cwd(), ['packages', 'apps', 'tooling', 'tests'], folderOrders)
for (const [name, count] of Object.entries(countAll(findings)))
  process.stdout.write(`${String(count).padStart(4)} ${name}\n`)
const violations = listAll(findings)
process.stdout.write(violations.map((line) => `${line}\n`).join(''))
if (process.argv.includes('--check') && violations.length > 0) process.exitCode = 1

function countAll({ cycles, upward, unlisted }: Findings): Record<string, number> {
  return {
    'cycles in the workspace': cycles.length,
    'upward imports in packages/proxy/src and packages/api/src': upward.length,
    'files in folders that are missing in tooling/graph/src/order.ts': unlisted.length,
    [`loose files in ${PROXY}`]: readdirSync(PROXY).filter((name) => name.endsWith('.ts')).length,
    [`lines of ${PROXY}/config.ts`]: readFileSync(`${PROXY}/config.ts`, 'utf8').split('\n').length - 1,
  }
}

function listAll({ cycles, upward, unlisted }: Findings): string[] {
  return [
    ...cycles.map((files) => `cycle: ${files.join(', ')}`),
    ...upward.map((edge) => `upward: ${edge}`),
    ...unlisted.map((file) => `missing in tooling/graph/src/order.ts: ${file}`),
  ]
}
