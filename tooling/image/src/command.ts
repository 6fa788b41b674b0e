/** Runs the system's tools, with errors that name the command and what it printed. */
import { execFileSync } from 'node:child_process'

const TIMEOUT_MS = 120_000
const MAX_OUTPUT_BYTES = 2 ** 30

export interface CommandOptions {
  readonly cwd?: string
  readonly input?: Buffer
}

/** Returns what the command writes to stdout. @throws Error with its stderr if it fails or takes over two minutes */
export function run(command: string, args: readonly string[], { cwd, input }: CommandOptions = {}): Buffer {
  try {
    return execFileSync(command, args, {
      ...(cwd === undefined ? {} : { cwd }),
      ...(input === undefined ? {} : { input }),
      env: { ...process.env, LC_ALL: 'C' },
      maxBuffer: MAX_OUTPUT_BYTES,
      timeout: TIMEOUT_MS,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { readonly stderr?: Buffer }
    if (code === 'ENOENT') throw new Error(`${command} is missing: run tests/install-debian-packages`, { cause: error })
    throw new Error(`${command} ${args.join(' ')} failed: ${stderr ?? (error as Error).message}`, { cause: error })
  }
}

export const text = (command: string, args: readonly string[], options: CommandOptions = {}) =>
  run(command, args, options).toString('utf8').trim()
