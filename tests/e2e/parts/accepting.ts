/** Starts programs that do not report when they are ready. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { type ProgramOptions, type RunningProgram, startProgram } from '@oriel/testkit'

/** Starts a program and resolves when it accepts connections on each of `ports` of 127.0.0.1. */
export async function startAccepting(options: ProgramOptions, ...ports: number[]): Promise<RunningProgram> {
  await using scope = new AsyncDisposableStack()
  const program = scope.use(await startProgram(options))
  const ended = program.exited.then(() => {
    throw new Error(`${options.command} ended: ${program.stderr}`)
  })
  await Promise.race([ended, Promise.all(ports.map(untilAccepting))])
  ended.catch(() => {}) // at its regular end
  scope.move()
  return program
}

/** Polls until the port accepts connections. */
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
