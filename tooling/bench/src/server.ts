/** Starts servers under measurement with their output in a file, waits for their port, and stops them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export interface ServerOptions {
  readonly command: string
  readonly args: readonly string[]
  /** The port of 127.0.0.1 on which it will listen. */
  readonly port: number
  /** The file for its output. */
  readonly logFile: string
  /** Replaces `logFile` as the destination of the output, for one that cannot be read again, such as a FIFO. */
  readonly output?: string
}

export interface RunningServer extends AsyncDisposable {
  readonly pid: number
  readonly logFile: string
}

/** Long enough for an emulated machine. */
const START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 20_000

/** Starts a server and waits until it accepts connections. @throws Error with its output if it does not */
export async function startServer({ command, args, port, logFile, output }: ServerOptions): Promise<RunningServer> {
  const log = openSync(output ?? logFile, 'a')
  const child = spawn(command, args, { stdio: ['ignore', log, log] })
  closeSync(log)
  await once(child, 'spawn')
  const exited = once(child, 'exit')
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await exited
    clearTimeout(timer)
  }
  const deadlineMs = performance.now() + START_TIMEOUT_MS
  while (!(await accepts(port))) {
    if (child.exitCode === null && performance.now() < deadlineMs) continue
    await stop()
    throw new Error(`${command} does not listen:\n${readFileSync(logFile, 'utf8')}`)
  }
  return { pid: child.pid!, logFile, [Symbol.asyncDispose]: stop }
}

const THIS_CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * Returns the built program of an app.
 * @param checkout the folder of another checkout. Default: this one
 * @throws Error if it is not built
 */
export function builtApp(name: 'api' | 'oriel' | 'proxy', checkout = THIS_CHECKOUT): string {
  const file = join(checkout, 'apps', name, 'dist', 'main.js')
  if (!existsSync(file)) throw new Error(`${file} is not built: npm run build`)
  return file
}

/** Tries to connect, and waits a moment after a failure: not all servers report when they listen. */
async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    await delay(50)
    return false
  } finally {
    socket.destroy()
  }
}
