/** `oriel doctor [SERVER]` */
import type { OpenableConsoleType } from '@oriel/contract'
import type { ClientOptions } from '@oriel/sdk'
import { textOf, type Values } from '../arguments/options.ts'
import { millisecondsOf } from '../arguments/parse.ts'
import { cloudOf, settingsOf } from '../cloud/sign-in.ts'
import { CATALOGUE, type Diagnosis, examine } from '../doctor/doctor.ts'
import { Examination } from '../doctor/examination.ts'
import { isHealthy, linesOf, printExamination, printSummary } from '../doctor/report.ts'
import { exitCodes } from '../exit-codes.ts'
import { print, say } from '../output.ts'
import { signalled } from '../signals.ts'
import type { Call } from './command.ts'

/** Longer than the deadlines of oriel-proxy towards a hypervisor, so that its refusal comes first. */
const DEFAULT_SECONDS = 20

/** Performs the checks, and prints each result as soon as it is known. With --json it prints all of them at the end. */
export async function run({ words, values }: Call): Promise<number> {
  const settings = settingsOf(values, process.env)
  const cloud = cloudOf(settings, millisecondsOf('timeout', textOf(values, 'timeout'), DEFAULT_SECONDS))
  const idle = textOf(values, 'idle')
  const subject = {
    ...{ settings, cloud, source: sourceOf(values, settings), server: words[0] },
    type: textOf(values, 'type') as OpenableConsoleType | undefined,
    idleMs: idle === undefined ? undefined : millisecondsOf('idle', idle, 0),
  }
  const { exam, interrupted } = interruptible(values.json === undefined)
  const diagnosis = await examine(exam, subject).catch((error) => {
    if (!exam.signal.aborted) throw error
  })
  if (diagnosis === undefined) {
    say('The examination was interrupted. All consoles that it opened are closed.')
    return await interrupted
  }
  report(exam, diagnosis, values)
  return exitCodes[isHealthy(exam) ? 'ok' : 'unhealthy'].code
}

function interruptible(prints: boolean) {
  const controller = new AbortController()
  const interrupted = signalled()
  interrupted.then(() => controller.abort(new Error('interrupted')))
  const { columns } = process.stdout
  const onResult = (result: Parameters<typeof linesOf>[0]) => void (prints && print(linesOf(result, columns)))
  return { exam: new Examination({ signal: controller.signal, onResult }), interrupted }
}

function report({ results }: Examination, { endpoint, server, consoles }: Diagnosis, { json }: Values): void {
  const examined = { endpoint, server: server && { id: server.id, name: server.name }, results, consoles }
  if (json) printExamination(examined)
  else printSummary(examined)
}

/** Returns the setting that has the endpoint, for remedies. */
function sourceOf(values: Values, { endpoint }: ClientOptions): string {
  if (values.endpoint !== undefined) return '--endpoint'
  if (values['os-cloud'] !== undefined) return endpoint === undefined ? CATALOGUE : 'clouds.yaml'
  if (process.env.ORIEL_ENDPOINT) return 'ORIEL_ENDPOINT'
  if (endpoint === undefined) return CATALOGUE
  return process.env.OS_ENDPOINT ? 'OS_ENDPOINT' : 'clouds.yaml'
}
