/** Runs the checks of `oriel doctor` in this process. */
import type { OpenableConsoleType } from '@oriel/contract'
import { cloudOf, settingsOf } from '../../src/cloud/sign-in.ts'
import { examine } from '../../src/doctor/doctor.ts'
import { Examination, type Result } from '../../src/doctor/examination.ts'
import { TOKEN } from './fake-cloud.ts'

export interface DiagnoseOptions {
  readonly token?: string
  readonly server?: string
  readonly type?: OpenableConsoleType
  /** Default: 5,000. */
  readonly timeoutMs?: number
  readonly idleMs?: number
  readonly env?: NodeJS.ProcessEnv
  readonly signal?: AbortSignal
}

/** Returns the results of all checks. @param endpoint empty: the settings are in `env` */
export async function diagnose(endpoint: string, options: DiagnoseOptions = {}): Promise<readonly Result[]> {
  const { token = TOKEN, server, type, timeoutMs = 5000, idleMs, env = {}, signal } = options
  const settings = settingsOf({ ...(endpoint !== '' && { endpoint }), ...(token !== '' && { token }) }, env)
  const cloud = cloudOf(settings, timeoutMs, env)
  const exam = new Examination({ signal: signal ?? new AbortController().signal, onResult: () => {} })
  await examine(exam, { settings, cloud, source: '--endpoint', server, type, idleMs })
  return exam.results
}

/** Returns the only check that failed. */
export function failureIn(results: readonly Result[]): Result {
  const failed = results.filter(({ status }) => status === 'failed')
  if (failed.length !== 1) throw new Error(`${failed.length} checks failed: ${JSON.stringify(results, null, 2)}`)
  return failed[0]!
}
