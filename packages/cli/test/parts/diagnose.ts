/** Runs the checks of `oriel doctor` in this process. */

import type { OpenableConsoleType } from '@oriel/contract'
import { expect } from 'vitest'
import { cloudOf, settingsOf } from '../../src/cloud/sign-in.ts'
import { examine } from '../../src/doctor/doctor.ts'
import { Examination, type Result } from '../../src/doctor/examination.ts'
import {
  CONSOLE_TOKEN,
  type FakeApiOptions,
  type FakeProxyOptions,
  fakeApi,
  fakeProxy,
  send,
  TOKEN,
} from './fake-cloud.ts'

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

/** The path and the query of a screen's access URL. */
export const NOVNC = `/vnc_lite.html?path=%3Ftoken%3D${CONSOLE_TOKEN}`

/** Diagnoses the consoles behind a proxy, whose access URLs have these paths. */
export async function diagnoseProxy(
  options: FakeProxyOptions,
  { paths = { novnc: NOVNC }, ...how }: DiagnoseOptions & { paths?: Readonly<Record<string, string>> } = {},
): Promise<readonly Result[]> {
  await using proxy = await fakeProxy(options)
  const entries = Object.entries(paths).map(([type, path]) => {
    const scheme = type === 'serial' ? 'ws' : 'http'
    return [type, `${scheme}://127.0.0.1:${proxy.port}${path}`]
  })
  await using api = await fakeApi({ consoles: Object.fromEntries(entries) })
  return await diagnose(`http://127.0.0.1:${api.port}/v2.1`, how)
}

/** Answers every request for a page so, and leaves WebSockets alone. */
export const pagesAre = (status: number, body: unknown, headers: object = {}): FakeProxyOptions => ({
  broken: (_, response) => send(response, status, body, headers),
})

/** The address of a port on loopback. */
export const at = (port: number, path = '/v2.1', scheme = 'http') => `${scheme}://127.0.0.1:${port}${path}`
const page = (port: number) => `http://127.0.0.1:${port}/vnc_lite.html?path=%3Ftoken%3D${CONSOLE_TOKEN}`

/** Diagnoses a cloud whose API has these faults, and whose proxy is healthy. */
export async function diagnoseApi(options: Partial<FakeApiOptions>, how: DiagnoseOptions = {}, path = '/v2.1') {
  await using proxy = await fakeProxy()
  await using api = await fakeApi({ consoles: { novnc: page(proxy.port) }, ...options })
  return await diagnose(at(api.port, path, options.tls === undefined ? 'http' : 'https'), how)
}

/** Replaces regular expressions by matchers. */
export function matching(members: object) {
  const entries = Object.entries(members as Record<string, string | RegExp>)
  return Object.fromEntries(
    entries.map(([key, value]) => [key, value instanceof RegExp ? expect.stringMatching(value) : value]),
  )
}
