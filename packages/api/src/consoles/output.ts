/** The action os-getConsoleOutput: the text that a server's console has printed. */
import type { NewestBody, NewestResponse } from '@oriel/contract'
import { HttpFault } from '../http/faults.ts'
import type { Call, Operation } from '../http/mount.ts'
import { enforce, requireProject } from '../policy/enforce.ts'
import { lookUp } from '../servers/look-up.ts'
import { SourceError } from '../sources/errors.ts'
import type { Server } from '../sources/server.ts'
import type { Source } from '../sources/source.ts'
import { withinDeadline } from '../sources/within-deadline.ts'
import { driverFault } from './driver-faults.ts'
import { type ConsoleDeps, requireHost } from './open.ts'

const RULE = 'os_compute_api:os-console-output'
type Body = NewestBody<'getConsoleOutput'>

/** Returns the output of a server whose source keeps no log, or `undefined` if no proxy has kept any. */
export type KeptOutput = (server: Server, signal: AbortSignal) => Promise<Uint8Array | undefined>

export interface OutputDeps extends ConsoleDeps {
  /** Default: output comes from sources alone. */
  readonly keptOutput?: KeptOutput
}

/** Returns the last lines, or all, without control characters. */
export function getConsoleOutput(deps: OutputDeps): Operation<Body, NewestResponse<'getConsoleOutput'>> {
  return {
    async handle(call: Call<Body>) {
      const lines = lineCount(call.body['os-getConsoleOutput'].length)
      requireProject(RULE, call.identity)
      const server = await lookUp(deps.source, call.identity, call.params.server_id!, call.signal)
      enforce(deps.config.policy, RULE, call.identity)
      requireHost(server)
      return { output: showable(lastLines(await printed(deps, server, call.signal), lines)) }
    },
  }
}

/**
 * The number of lines from the end. `undefined` for all lines, which the client requests by absence, null or -1.
 * @throws HttpFault 400 for less than -1, which the schema accepts as a string of digits
 */
export function lineCount(length: string | number | null | undefined): number | undefined {
  const count = Number(length ?? -1)
  if (count < -1) throw new HttpFault(400, 'Invalid input for os-getConsoleOutput.length: must not be less than -1')
  return count === -1 ? undefined : count
}

/** The last lines of a log. The text after the last newline counts as a line, even if it is empty. */
export function lastLines(log: Uint8Array, count: number | undefined): Uint8Array {
  if (count === undefined) return log
  if (count === 0) return new Uint8Array()
  let start = log.length
  for (let newlines = 0; start > 0; start -= 1) {
    if (log[start - 1] === NEWLINE) newlines += 1
    if (newlines === count) break
  }
  return log.subarray(start)
}

/** Replaces each byte beyond ASCII by U+FFFD, and removes control characters except for tab and newline. */
export function showable(log: Uint8Array): string {
  const ascii = Buffer.from(log)
    .toString('latin1')
    .replace(/[\x80-\xff]/g, '\ufffd')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it removes them
  return ascii.replace(/[\x00-\x08\x0b-\x1f]/g, '')
}

const NEWLINE = 0x0a

async function printed({ source, keptOutput }: OutputDeps, server: Server, signal: AbortSignal): Promise<Uint8Array> {
  try {
    return await fromSource(source, server, signal)
  } catch (error) {
    const kept = hasNoLog(error) ? await keptOutput?.(server, signal) : undefined
    if (kept) return kept
    throw driverFault(error, { variant: 'output', server })
  }
}

async function fromSource(source: Source, server: Server, signal: AbortSignal): Promise<Uint8Array> {
  if (!source.output) throw new SourceError('NotImplemented')
  return Buffer.from(await withinDeadline(signal, source.output(server, { signal })))
}

const hasNoLog = (error: unknown) => error instanceof SourceError && NO_LOG.has(error.code)
const NO_LOG: ReadonlySet<string> = new Set(['NotImplemented', 'ConsoleNotAvailable'] satisfies SourceError['code'][])
