/** Starts a viewer, and ends it with the command. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Failure } from '../failure.ts'

/** A running viewer. */
export interface Viewer {
  /** Resolves when it has ended. Rejects with a Failure if it could not be started or failed. */
  readonly ended: Promise<void>
  stop(): void
}

/** Starts a command line. What it prints goes to stderr. @param advice what to do if it cannot be started */
export function startViewer([command, ...args]: readonly string[], advice = 'Choose another --viewer.'): Viewer {
  const child = spawn(command!, args, { stdio: ['ignore', 2, 2] })
  const ended = once(child, 'exit').then(
    ([code]) => {
      if (code) throw new Failure('failed', `${command} ended with exit code ${code}.`)
    },
    (cause: Error) => {
      throw new Failure('usage', `${command} cannot be started: ${cause.message}. ${advice}`, { cause })
    },
  )
  ended.catch(() => {})
  return { ended, stop: () => void child.kill() }
}
