/** A program that stands still in the middle of its SQLite database, so that a test can kill it there. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface SqliteHold {
  /** For the program's environment. */
  readonly env: NodeJS.ProcessEnv
  /** From now on the program stops for ever at the first statement that fits, before or after it is carried out. */
  at(moment: 'before' | 'after', statement: RegExp): Promise<void>
}

/** What the program logs when it stands still. */
export const STANDS_STILL = 'the program stands still in its database'

/** Keeps its order in `folder`. */
export function sqliteHold(folder: string): SqliteHold {
  const file = join(folder, 'hold.json')
  const hook = `data:text/javascript,${encodeURIComponent(hookOf(file))}`
  return {
    env: { NODE_OPTIONS: `--import=${hook}` },
    at: (moment, { source }) => writeFile(file, JSON.stringify({ moment, source })),
  }
}

/** Loaded before the program. */
const hookOf = (file: string) => `
import { readFileSync, writeSync } from 'node:fs'
import { StatementSync } from 'node:sqlite'
const order = () => {
  try { return JSON.parse(readFileSync(${JSON.stringify(file)}, 'utf8')) } catch { return undefined }
}
const standStill = () => {
  writeSync(1, JSON.stringify({ level: 'info', msg: ${JSON.stringify(STANDS_STILL)} }) + '\\n')
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
