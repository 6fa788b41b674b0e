/** Makes a program block in a SQLite statement, so that a test can kill it there. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface SqliteHold {
  /** Variables for the program's environment. */
  readonly env: NodeJS.ProcessEnv
  /** Makes the program block for ever at the next matching statement, before or after its execution. */
  at(moment: 'before' | 'after', statement: RegExp): Promise<void>
}

/** The program's log message when it blocks. */
export const BLOCKED = 'the program is blocked in its database'

/** Creates a hold, which the program reads from a file in `folder`. */
export function sqliteHold(folder: string): SqliteHold {
  const file = join(folder, 'hold.json')
  const hook = `data:text/javascript,${encodeURIComponent(hookOf(file))}`
  return {
    env: { NODE_OPTIONS: `--import=${hook}` },
    at: (moment, { source }) => writeFile(file, JSON.stringify({ moment, source })),
  }
}

/** The module that Node loads before the program. */
const hookOf = (file: string) => `
import { readFileSync, writeSync } from 'node:fs'
import { StatementSync } from 'node:sqlite'
const order = () => {
  try { return JSON.parse(readFileSync(${JSON.stringify(file)}, 'utf8')) } catch { return undefined }
}
const standStill = () => {
  writeSync(1, JSON.stringify({ level: 'info', msg: ${JSON.stringify(BLOCKED)} }) + '\\n')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}
const { run } = StatementSync.prototype
StatementSync.prototype.run = function (...values) {
  const { moment, source } = order() ?? {}
  const fits = source !== undefined && new RegExp(source).test(this.sourceSQL)
  if (fits && moment === 'before') standStill()
  const result = run.apply(this, values)
  if (fits) standStill()
  return result
}
`
