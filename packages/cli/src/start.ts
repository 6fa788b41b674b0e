/** Runs the command line of the process, and ends the process with its exit code. */
import { codeOf, type Failure, failureOf } from './failure.ts'
import { run } from './run.ts'

/** Runs the command. Every error becomes one sentence on stderr and an exit code; `ORIEL_DEBUG=1` adds the stack. */
export async function start(): Promise<void> {
  const argv = process.argv.slice(2)
  const fail = (error: unknown) => report(failureOf(error), argv.includes('--json'))
  process.once('uncaughtException', (error) => process.exit(fail(error)))
  // The reader of the pipe has gone, such as `head`.
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1))
  const code = await run(argv).catch(fail)
  process.stdout.write('', () => process.exit(code))
}

function report(failure: Failure, asJson: boolean): number {
  const code = codeOf(failure)
  const error = { error: { message: failure.message, exit_code: code } }
  process.stderr.write(asJson ? `${JSON.stringify(error)}\n` : `oriel: ${failure.message}\n`)
  if (process.env.ORIEL_DEBUG === '1')
    process.stderr.write(`${(failure.cause as Error | undefined)?.stack ?? failure.stack}\n`)
  return code
}
