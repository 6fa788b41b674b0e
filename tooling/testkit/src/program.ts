/** Programs under test: started, watched through their log, stopped by the id they were started with. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { type Exit, exitOf, stopChild } from './child.ts'
import { defaultTimeoutMs, type WaitOptions, within } from './deadline.ts'

/** One line of a program's log: whatever JSON object it wrote. */
export type LogRecord = Readonly<Record<string, unknown>>

export interface ProgramOptions {
  /** A script to run with this Node. Exactly one of `file` and `command` is given. */
  readonly file?: string
  /** Any other program, looked up on the PATH. */
  readonly command?: string
  readonly args?: readonly string[]
  /** Node's own arguments before `file`, such as `--conditions=...`. */
  readonly nodeArgs?: readonly string[]
  /** Added to this process's environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Default: this process's working directory. */
  readonly cwd?: string
}

export interface RunningProgram extends AsyncDisposable {
  readonly pid: number
  /** The JSON objects that stdout consisted of so far, oldest first; the newest 10 000 are kept. */
  readonly records: readonly LogRecord[]
  /** Lines of stdout that were no JSON objects. */
  readonly otherLines: readonly string[]
  /** The last 64 KiB of stderr. */
  readonly stderr: string
  /** Resolves when the program has exited, for any reason. */
  readonly exited: Promise<Exit>
  /** The first record, past or to come, that `predicate` accepts. @throws when the program ends before, or too late. */
  waitForLog(predicate: (record: LogRecord) => boolean, options?: WaitOptions): Promise<LogRecord>
  /** SIGTERM, then SIGKILL after a deadline; resolves with how it ended. Disposing does the same. */
  stop(options?: WaitOptions): Promise<Exit>
}

const maxRecords = 10_000
const maxStderrCharacters = 64 * 1024

/** Starts a program. @throws TypeError for bad options, and the system's error when there is no such program. */
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
  /** Resolves when something came, or the program ended. */
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
      // Taken before the look, so that nothing which comes in between is missed.
      const news = output.news()
      const found = output.records.find(predicate)
      if (found) return found
      if (hasEnded(child)) throw new Error(`The program ended first. ${summary(output)}`)
      await news
    }
  }
  return within(search(), timeoutMs, () => `no such record in the log. ${summary(output)}`)
}

/** Also that its output was read to the end: no further record can come. */
function hasEnded(child: ChildProcess): boolean {
  return (child.exitCode !== null || child.signalCode !== null) && child.stdout!.readableEnded
}

function summary(output: Output): string {
  const lines = [...output.records.map((record) => JSON.stringify(record)), ...output.otherLines].slice(-20)
  return `stdout:\n${lines.join('\n')}\nstderr:\n${output.stderr()}`
}
