/** Starts a real HAProxy with a test's configuration in a temporary folder. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type RunningProgram, temporaryFolder } from '@oriel/testkit'
import { startAccepting } from './accepting.ts'

/** Starts HAProxy and resolves when it accepts connections on each of `ports` of 127.0.0.1. */
export async function startHaproxy(config: string, ...ports: number[]): Promise<RunningProgram> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const file = join(folder.path, 'haproxy.cfg')
  await writeFile(file, config)
  const program = scope.use(await startAccepting({ command: 'haproxy', args: ['-db', '-f', file] }, ...ports))
  const rest = scope.move()
  return Object.assign(program, { [Symbol.asyncDispose]: () => rest.disposeAsync() })
}
