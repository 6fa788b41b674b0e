/** The stages of a run and their times, of the shell (`tooling/stage.sh`) and of the runner. */
import { existsSync, readFileSync } from 'node:fs'

export interface Stage {
  readonly name: string
  readonly seconds: number
}

/** A table of the stages in the file `STAGES`, a line `name<TAB>seconds` each, then of `stages`. */
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
