/** Servers under measurement: started with their output in a file, awaited at their port, stopped by their id. */
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
  /** The port of 127.0.0.1 at which it will listen. */
  readonly port: number
  /** Takes what it writes. */
  readonly logFile: string
  /** In place of `logFile`, where it writes to something that cannot be read again, such as a FIFO. */
  readonly output?: string
}

export interface RunningServer extends AsyncDisposable {
  readonly pid: number
  readonly logFile: string
}

/** For a machine without acceleration, too, where a program takes its time. */
const START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 20_000

/** Starts a server and waits until it accepts connections. @throws with its output when it does not */
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

/** Asks again after a moment: no server tells a stranger when it listens. */
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
