/** Starts programs under test, waits for records in their logs, and stops them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { type Exit, exitOf, stopChild } from './child.ts'
import { defaultTimeoutMs, type WaitOptions, within } from './deadline.ts'

/** One line of a program's log: a JSON object. */
export type LogRecord = Readonly<Record<string, unknown>>

export interface ProgramOptions {
  /** A script to run with this Node. Exactly one of `file` and `command` is required. */
  readonly file?: string
  /** Any other program, looked up on the PATH. */
  readonly command?: string
  readonly args?: readonly string[]
  /** Node's own arguments before `file`, such as `--conditions=...`. */
  readonly nodeArgs?: readonly string[]
  /** Added to this process's environment. `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Default: this process's working directory. */
  readonly cwd?: string
}

export interface RunningProgram extends AsyncDisposable {
  readonly pid: number
  /** The JSON objects on stdout, oldest first. Only the newest 10,000 are kept. */
  readonly records: readonly LogRecord[]
  /** The lines of stdout that are not JSON objects. */
  readonly otherLines: readonly string[]
  /** The last 64 KiB of stderr. */
  readonly stderr: string
  /** Resolves when the program has exited, for any reason. */
  readonly exited: Promise<Exit>
  /**
   * Resolves with the first record, past or future, that `predicate` accepts.
   * @throws at the deadline, or if the program ends
   */
  waitForLog(predicate: (record: LogRecord) => boolean, options?: WaitOptions): Promise<LogRecord>
  /** Sends SIGTERM, and SIGKILL after a deadline. Resolves when the program has ended. Disposing does the same. */
  stop(options?: WaitOptions): Promise<Exit>
}

const maxRecords = 10_000
const maxStderrCharacters = 64 * 1024

/** Starts a program. @throws TypeError for bad options, and the system's error if the program does not exist. */
export async function startProgram(options: ProgramOptions): Promise<RunningProgram> {
  const child = spawnProgram(options)
  const exited = exitOf(child)
  const output = collect(child)
  exited.then(output.wake, output.wake)
  await started(child)
  const stop = ({ timeoutMs }: WaitOptions = {}) => stopChild(child, exited, timeoutMs)
  return {
    pid: child.pid!,
    exited,
    stop,
    records: output.records,
    otherLines: output.otherLines,
    get stderr() {
      return output.stderr()
    },
    waitForLog: (predicate, wait) => waitForLog(child, output, predicate, wait),
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

interface Output {
  readonly records: LogRecord[]
  readonly otherLines: string[]
  stderr(): string
  /** Resolves at the next output, or when the program ends. */
  news(): Promise<void>
  wake(): void
}

function spawnProgram({ file, command, args = [], nodeArgs = [], env = {}, cwd }: ProgramOptions): ChildProcess {
  if ((file === undefined) === (command === undefined)) throw new TypeError('Give either file or command')
  const line = file === undefined ? [command!, ...args] : [process.execPath, ...nodeArgs, file, ...args]
  return spawn(line[0]!, line.slice(1), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
}

async function started(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('spawn', resolve).once('error', reject)
  await promise
}

function collect(child: ChildProcess): Output {
  const records: LogRecord[] = []
  const otherLines: string[] = []
  let stderr = ''
  let news = Promise.withResolvers<void>()
  const wake = () => {
    news.resolve()
    news = Promise.withResolvers()
  }
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const record = parsed(line)
    keep<LogRecord | string>(record ? records : otherLines, record ?? line)
    wake()
  })
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-maxStderrCharacters)
  })
  return { records, otherLines, stderr: () => stderr, news: () => news.promise, wake }
}

function keep<T>(list: T[], item: T): void {
  list.push(item)
  if (list.length > maxRecords) list.shift()
}

function parsed(line: string): LogRecord | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as LogRecord) : undefined
  } catch {
    return undefined
  }
}

async function waitForLog(
  child: ChildProcess,
  output: Output,
  predicate: (record: LogRecord) => boolean,
  { timeoutMs = defaultTimeoutMs }: WaitOptions = {},
): Promise<LogRecord> {
  const search = async () => {
    for (;;) {
      // Created before searching, so that no record in between is missed.
      const news = output.news()
      const found = output.records.find(predicate)
      if (found) return found
      if (hasEnded(child)) throw new Error(`The program ended first. ${summary(output)}`)
      await news
    }
  }
  return within(search(), timeoutMs, () => `no such record in the log. ${summary(output)}`)
}

/** Whether the program has ended and its output has been read, so that no further record can arrive. */
function hasEnded(child: ChildProcess): boolean {
  return (child.exitCode !== null || child.signalCode !== null) && child.stdout!.readableEnded
}

function summary(output: Output): string {
  const lines = [...output.records.map((record) => JSON.stringify(record)), ...output.otherLines].slice(-20)
  return `stdout:\n${lines.join('\n')}\nstderr:\n${output.stderr()}`
}
