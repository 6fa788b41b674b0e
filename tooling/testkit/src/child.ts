/** Awaits and stops child processes. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { within } from './deadline.ts'

/** The exit code of a process, or the signal that ended it; the other one is null. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The time between SIGTERM and SIGKILL. */
export const stopTimeoutMs = 10_000

/** Resolves when the process has ended and its output has been read. @throws if it could not be started. */
export async function exitOf(child: ChildProcess): Promise<Exit> {
  const [code, signal] = await once(child, 'close')
  return { code, signal }
}

/** Sends SIGTERM, and SIGKILL if the process still runs after `timeoutMs`. Resolves when it has ended. */
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
