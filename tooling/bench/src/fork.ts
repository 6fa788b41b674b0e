/**
 * Starts the parts of the bench that run as separate processes, so that their CPU time is not counted as a candidate's.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Listening } from './parts/part.ts'

export interface Part extends AsyncDisposable {
  readonly pid: number
  readonly ports: Readonly<Record<string, number>>
  /** Requests the part's figures. Their type depends on the part. */
  ask<T>(): Promise<T>
}

/** Starts `parts/NAME.ts` and waits until it listens. */
export async function startPart(
  name: 'authority' | 'distant' | 'hypervisor' | 'keystone' | 'relay' | 'ticker',
  args: readonly string[] = [],
  nodeArgs: readonly string[] = [],
): Promise<Part> {
  const child = fork(fileURLToPath(new URL(`parts/${name}.ts`, import.meta.url)), args, {
    execArgv: [...nodeArgs],
    // With an inspector, ignore stderr: Node prints only messages about the inspector there.
    stdio: ['ignore', 'inherit', nodeArgs.length > 0 ? 'ignore' : 'inherit', 'ipc'],
  })
  const { ports } = await answer<Listening>(child)
  return {
    pid: child.pid!,
    ports,
    ask: () => {
      const answered = answer<never>(child)
      child.send('tell')
      return answered
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      if (child.connected) child.disconnect()
      await exited
    },
  }
}

async function answer<T>(child: ChildProcess): Promise<T> {
  const ended = new AbortController()
  const exit = () => ended.abort(new Error(`${child.spawnfile} ended`))
  child.once('exit', exit)
  try {
    const [message] = await once(child, 'message', { signal: ended.signal })
    return message as T
  } finally {
    child.off('exit', exit)
  }
}
