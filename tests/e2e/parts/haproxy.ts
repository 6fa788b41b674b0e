/** Starts a real HAProxy with a test's configuration in a temporary folder. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type RunningProgram, startProgram, temporaryFolder } from '@oriel/testkit'

/** Starts HAProxy and resolves when it accepts connections on each of `ports` of 127.0.0.1. */
export async function startHaproxy(config: string, ...ports: number[]): Promise<RunningProgram> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const file = join(folder.path, 'haproxy.cfg')
  await writeFile(file, config)
  const program = scope.use(await startProgram({ command: 'haproxy', args: ['-db', '-f', file] }))
  const ended = program.exited.then(() => {
    throw new Error(`HAProxy ended: ${program.stderr}`)
  })
  await Promise.race([ended, Promise.all(ports.map(untilAccepting))])
  const rest = scope.move()
  return Object.assign(program, { [Symbol.asyncDispose]: () => rest.disposeAsync() })
}

/** Polls until the port accepts connections: HAProxy does not report when it is ready. */
async function untilAccepting(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  const accepted = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  if (accepted) return
  await new Promise((resolve) => setTimeout(resolve, 20))
  return untilAccepting(port)
}
