/** Runs commands that are written in Python, in forks of processes that have imported them: `forked-commands.py`. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Printed {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

export interface ForkedCommands extends AsyncDisposable {
  /** Runs a command and returns what it printed. Waits while all processes are busy. */
  run(command: string, args: readonly string[]): Promise<Printed>
}

const server = fileURLToPath(new URL('forked-commands.py', import.meta.url))
const commandTimeoutMs = 120_000

/** Starts `processes` processes, each of which runs one command at a time. All commands have the interpreter of the first. */
export async function forkCommands(
  commands: readonly string[],
  env: NodeJS.ProcessEnv,
  processes: number,
): Promise<ForkedCommands> {
  const scripts = commands.map(pathOf)
  const interpreter = await interpreterOf(scripts[0]!)
  const all = Array.from({ length: processes }, () => spawn(interpreter, [server, ...scripts], { env }))
  const answers = new Map(all.map((child) => [child, answersOf(child)]))
  const pool = new Pool(all)
  return {
    run: (command, args) =>
      pool.use(async (child) => {
        child.stdin.write(`${JSON.stringify([command, ...args])}\n`)
        return answers.get(child)!(command)
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map(end))
    },
  }
}

/** Returns the path of a command that `PATH` has, or undefined. */
export function findCommand(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.map((folder) => join(folder, name)).find(existsSync)
}

function pathOf(name: string): string {
  const path = findCommand(name)
  if (path === undefined) throw new Error(`no folder of PATH has ${name}`)
  return path
}

async function interpreterOf(script: string): Promise<string> {
  const [, interpreter] = /^#! ?(\S+)/.exec(await readFile(script, 'utf8')) ?? []
  if (interpreter === undefined) throw new Error(`${script} names no interpreter`)
  return interpreter
}

/** Returns a function that resolves with the next answer. A process that does not answer in time is killed. */
function answersOf(child: ChildProcessWithoutNullStreams): (command: string) => Promise<Printed> {
  let stderr = ''
  child.stderr.on('data', (data) => {
    stderr += data
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return async (command) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), commandTimeoutMs)
    const { value, done } = await lines.next()
    clearTimeout(timer)
    if (done) throw new Error(`the process that ran ${command} has ended: ${stderr}`)
    return JSON.parse(value) as Printed
  }
}

async function end(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.stdin.end()
  await exited
}

/** Lends each of its members to one piece of work at a time. */
class Pool<T> {
  private readonly waiting: ((member: T) => void)[] = []
  private readonly free: T[]

  constructor(members: readonly T[]) {
    this.free = [...members]
  }

  async use<R>(work: (member: T) => Promise<R>): Promise<R> {
    const member = this.free.pop() ?? (await new Promise<T>((resolve) => this.waiting.push(resolve)))
    try {
      return await work(member)
    } finally {
      const next = this.waiting.shift()
      if (next) next(member)
      else this.free.push(member)
    }
  }
}
