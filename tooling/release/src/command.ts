/** Runs the commands of a release. */
import { spawnSync } from 'node:child_process'

const TIMEOUT_MS = 600_000

/** Returns what the command prints. @throws Error with its output if it fails or takes over ten minutes */
export function command(name: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  const options = { cwd, encoding: 'utf8', timeout: TIMEOUT_MS, env: { ...process.env, ...env } } as const
  const { status, error, stdout, stderr } = spawnSync(name, args, options)
  if (status === 0) return stdout
  throw new Error(`${name} ${args.join(' ')} failed: ${error?.message ?? `exit ${status}`}\n${stdout}${stderr}`)
}
