/** Fetches the API's range of microversions once, and finds the highest that both sides support. */
import {
  API_VERSION,
  EARLIEST,
  type Microversion,
  microversions,
  minor,
  type ResponseAt,
  routes,
} from '@oriel/contract'
import { versionRoot } from './address.ts'
import { type Deadline, withDeadline, within } from './deadline.ts'
import { AnswerError, circumstances, type Reply, VersionError } from './errors.ts'
import { exchange, jsonOf, type Transport } from './exchange.ts'
import { misfit } from './shape.ts'
import type { EndpointOf } from './signed.ts'

/** The API's range of microversions. */
interface Range {
  readonly min: string
  readonly max: string
}

/** The microversions of an API. */
export interface ServedVersions {
  /**
   * Returns the highest microversion within the bounds that client and API support.
   * @throws VersionError if they have none in common
   */
  highest(min: Microversion, max: Microversion, signal: AbortSignal | undefined): Promise<Microversion>
  /** Call it when the API was upgraded or replaced: the next call fetches the range again. */
  forget(): void
}

/** Creates a cache, which fetches the range when it is first used. */
export function servedVersions(via: Transport, endpointOf: EndpointOf, timeoutMs: number): ServedVersions {
  let range: Promise<Range> | undefined
  let known: Range | undefined
  return {
    highest: async (min, max, signal) => {
      const ask = (limit: Deadline) => within(limit, 'The compute API', served())
      return highestOf(known ?? (await withDeadline(timeoutMs, signal, ask)), min, max)
    },
    forget: () => {
      range = undefined
      known = undefined
    },
  }

  // Concurrent callers share this request, so it obeys only the deadline, not the signal of one caller.
  function served(): Promise<Range> {
    range ??= kept(withDeadline(timeoutMs, undefined, fetchRange))
    return range
  }

  /** A range that arrives after `forget` counts only for those who wait for it. */
  function kept(asked: Promise<Range>): Promise<Range> {
    asked.then(
      (found) => {
        if (range === asked) known = found
      },
      () => {
        if (range === asked) range = undefined
      },
    )
    return asked
  }

  // Sends no token and no version: the document needs no authentication, and the supported versions are not known yet.
  async function fetchRange(limit: Deadline): Promise<Range> {
    // In older catalogues the endpoint ends in the project's id, below which there is no version document.
    const url = `${versionRoot(await endpointOf(limit), true)}/`
    return rangeOf(
      await exchange(via, { operation: 'showVersion', method: 'GET', url, headers: {}, secrets: [] }, limit),
    )
  }
}

function rangeOf(reply: Reply): Range {
  const body = jsonOf(reply)
  const missing = misfit(routes.showVersion.response, body, EARLIEST)
  if (missing !== undefined) {
    throw new AnswerError(`no version document; does the endpoint end in /${API_VERSION}?`, circumstances(reply))
  }
  const { version } = body as ResponseAt<'showVersion', typeof EARLIEST>
  return { min: version.min_version, max: version.version }
}

function highestOf(served: Range, min: Microversion, max: Microversion): Microversion {
  const within = (v: string) => minor(v) >= minor(min) && minor(v) <= minor(max)
  const common = microversions.findLast(
    (v) => within(v) && minor(v) >= minor(served.min) && minor(v) <= minor(served.max),
  )
  if (common === undefined) {
    const range = served.max === '' ? 'no microversions' : `${served.min} to ${served.max}`
    throw new VersionError(`The API serves ${range}, and ${min} to ${max} is wanted`)
  }
  return common
}
