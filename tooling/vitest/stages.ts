/** Reports how long the stages of a run took: those of the shell (`tooling/stage.sh`) and of the test runner. */
import { existsSync, readFileSync } from 'node:fs'

export interface Stage {
  readonly name: string
  readonly seconds: number
}

/** Formats the stages in the file `STAGES`, which has lines `name<TAB>seconds`, and then `stages` as a table. */
export function stageTable(stages: readonly Stage[]): string {
  const rows = [
    ['stage', 'seconds'],
    ...[...earlierStages(), ...stages].map(({ name, seconds }) => [name, `${seconds}`]),
  ]
  const width = Math.max(...rows.map(([name]) => name!.length))
  return rows.map(([name, seconds]) => `${name!.padEnd(width)}  ${seconds!.padStart(7)}\n`).join('')
}

function earlierStages(): Stage[] {
  const file = process.env.STAGES
  if (!file || !existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => {
    const [name, seconds] = line.split('\t')
    return { name: name!, seconds: Number(seconds) }
  })
}
