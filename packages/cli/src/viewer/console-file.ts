/** Downloads the `.vv` file of a SPICE console. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cloud } from '../cloud/sign-in.ts'
import { consoleFetch } from '../console/dial.ts'
import { Failure } from '../failure.ts'

/** A console file is about 3 KiB with its CA. */
const MAX_BYTES = 262_144

/** Returns the content of the file at an access URL. @throws Failure if the proxy serves another thing */
export async function consoleFile(accessUrl: string, cloud: Cloud): Promise<string> {
  const { host } = new URL(accessUrl)
  const response = await downloaded(accessUrl, consoleFetch(cloud), cloud.timeoutMs, host)
  const text = response.status === 200 ? await response.text().catch(() => '') : ''
  if (text.startsWith('[virt-viewer]') && text.length <= MAX_BYTES) return text
  const said = `${host} answered ${response.status} and no file for remote-viewer.`
  throw new Failure('failed', `${said} Is the machine running, and does the proxy serve spice-direct?`)
}

async function downloaded(url: string, fetch: Cloud['fetch'], timeoutMs: number, host: string): Promise<Response> {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    return await fetch(url, { redirect: 'manual', signal, headers: { Accept: 'application/x-virt-viewer' } })
  } catch (cause) {
    if (signal.aborted) throw new Failure('timeout', `The console proxy ${host} did not answer in time.`, { cause })
    // The error may contain the address, and with it the token.
    const { message } = ((cause as Error).cause ?? cause) as Error
    throw new Failure('failed', `The console proxy ${host} cannot be reached: ${message.replaceAll(url, host)}.`, {
      cause,
    })
  }
}

/** A file in a folder that only this user may read. */
export interface PrivateFile {
  readonly path: string
  remove(): void
}

/** Writes a temporary file. It is removed when the process exits, if the viewer has not removed it. */
export function privateFile(name: string, text: string): PrivateFile {
  const folder = mkdtempSync(join(tmpdir(), 'oriel-'))
  const path = join(folder, name)
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  writeFileSync(path, text, { mode: 0o600 })
  return { path, remove }
}
