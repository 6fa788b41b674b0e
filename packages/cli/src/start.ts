/** Runs the command line of the process, and ends the process with its exit code. */
import { codeOf, Failure, failureOf } from './failure.ts'
import { run } from './run.ts'

/** Runs the command. Every error becomes one sentence on stderr and an exit code; `ORIEL_DEBUG=1` adds the stack. */
export async function start(): Promise<void> {
  const argv = process.argv.slice(2)
  const fail = (error: unknown) => report(failureOf(error), argv.includes('--json'))
  process.once('uncaughtException', (error) => process.exit(fail(error)))
  process.stdout.on('error', (error) => process.exit(isClosedPipe(error) ? 0 : fail(lostOutput(error))))
  const code = await run(argv).catch(fail)
  // After an error of stdout its event ends the process.
  process.stdout.write('', (error) => error || process.exit(code))
}

/** The reader of the pipe has gone, such as `head`. */
const isClosedPipe = ({ code }: NodeJS.ErrnoException) => code === 'EPIPE'

const lostOutput = (cause: Error) =>
  new Failure('failed', `The result cannot be written to stdout: ${cause.message}.`, { cause })

function report(failure: Failure, asJson: boolean): number {
  const code = codeOf(failure)
  const error = { error: { message: failure.message, exit_code: code } }
  process.stderr.write(asJson ? `${JSON.stringify(error)}\n` : `oriel: ${failure.message}\n`)
  if (process.env.ORIEL_DEBUG === '1')
    process.stderr.write(`${(failure.cause as Error | undefined)?.stack ?? failure.stack}\n`)
  return code
}
