/** Runs the built command `oriel`, alone or in a pseudo-terminal. */
import { type ChildProcess, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { defaultTimeoutMs, within } from '@oriel/testkit'

/** The file that `npm run build` creates. */
export const cliFile = fileURLToPath(new URL('../../../packages/cli/dist/oriel.js', import.meta.url))

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly env?: NodeJS.ProcessEnv
  /** The piped input. Default: empty. */
  readonly input?: string | Uint8Array
}

/** Runs the command to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  await using cli = startCli(args, options)
  return await cli.result
}

export interface RunningCli extends AsyncDisposable {
  readonly pid: number
  readonly result: Promise<CliResult>
  /** Resolves once stdout and stderr together match. Rejects if the command ends before. */
  prints(pattern: RegExp): Promise<RegExpExecArray>
  /** Writes to its stdin. */
  type(keys: string): void
  kill(signal: NodeJS.Signals): void
}

/** Starts the command. Of this process's environment it gets nothing that would sign it in or give it a screen. */
export function startCli(args: readonly string[], { env, input = '' }: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [cliFile, ...args], { env: { ...bareEnv(), ...env } })
  child.stdin.on('error', () => {}) // it may end before it has read its input
  child.stdin.end(input)
  return running(child)
}

/** Starts a program of the documentation as its reader does. */
export function startExample(
  command: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): RunningCli {
  const child = spawn(command, args, { cwd, env: { ...bareEnv(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  return running(child)
}

/** Runs a line of sh in a pseudo-terminal of 30 rows and 100 columns. `$oriel` is the command. */
export function startInTerminal(line: string, env: NodeJS.ProcessEnv = {}): RunningCli {
  const variables = { ...bareEnv(), ...env, oriel: `${process.execPath} ${cliFile}`, SHELL: '/bin/sh' }
  const args = ['--quiet', '--return', '--flush', '--command', `stty rows 30 cols 100; ${line}`, '/dev/null']
  return running(spawn('script', args, { env: variables }))
}

function running(child: ChildProcess): RunningCli {
  let [all, news] = ['', Promise.withResolvers<void>()]
  const hear = (more: Buffer) => {
    all += more.toString('latin1')
    news.resolve()
    news = Promise.withResolvers()
  }
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', hear)
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const result = Promise.all([code, text(child.stdout!), text(child.stderr!)]).then(([code, stdout, stderr]) => ({
    code,
    stdout,
    stderr,
  }))
  const printed = async (pattern: RegExp) => {
    for (;;) {
      const match = pattern.exec(all)
      if (match !== null) return match
      const ended = code.then((n) => Promise.reject(new Error(`ended with ${n} after ${JSON.stringify(all)}`)))
      await Promise.race([news.promise, ended])
    }
  }
  return {
    pid: child.pid!,
    result: result.finally(() => {}),
    prints: (pattern) =>
      within(printed(pattern), defaultTimeoutMs, () => `${pattern} is not in ${JSON.stringify(all)}`),
    type: (keys) => void child.stdin!.write(keys),
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await code
    },
  }
}

function bareEnv(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OS_|ORIEL_|DISPLAY|WAYLAND_|BROWSER)/.test(name))
  return { ...Object.fromEntries(kept), HOME: '/nonexistent' }
}
