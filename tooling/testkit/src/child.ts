/** Child processes: how they end, and how to end them by the id they were started with. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { within } from './deadline.ts'

/** How a process ended: one of the two is null. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** How long a process may take to end by itself after SIGTERM. */
export const stopTimeoutMs = 10_000

/** Resolves when the process has ended and its output is read to the end. @throws when it could not be started. */
export async function exitOf(child: ChildProcess): Promise<Exit> {
  const [code, signal] = await once(child, 'close')
  return { code, signal }
}

/** SIGTERM, and SIGKILL if the process is still there after `timeoutMs`. Resolves when it has ended. */
export async function stopChild(child: ChildProcess, exited: Promise<Exit>, timeoutMs = stopTimeoutMs): Promise<Exit> {
  if (isRunning(child)) child.kill('SIGTERM')
  try {
    return await within(exited, timeoutMs, () => 'SIGTERM did not end the process')
  } catch (cause) {
    if (!isRunning(child)) throw cause
    child.kill('SIGKILL')
    return exited
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null
}
