/** Which microversions the other side serves, asked once and kept, and the highest that both sides know. */
import {
  API_VERSION,
  at,
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

/** The microversions that the other side serves. */
interface Range {
  readonly min: string
  readonly max: string
}

/** What is known of the other side. */
export interface ServedVersions {
  /**
   * The highest microversion within the bounds that both sides know.
   * @throws VersionError if there is none
   */
  highest(min: Microversion, max: Microversion, signal: AbortSignal | undefined): Promise<Microversion>
  /** The other side was upgraded or replaced: it is asked anew. */
  forget(): void
}

/** Asks at the endpoint, when it is first needed. */
export function servedVersions(via: Transport, endpointOf: EndpointOf, timeoutMs: number): ServedVersions {
  let range: Promise<Range> | undefined
  return {
    highest: async (min, max, signal) => {
      const ask = (limit: Deadline) => within(limit, 'The compute API', served())
      return highestOf(await withDeadline(timeoutMs, signal, ask), min, max)
    },
    forget: () => {
      range = undefined
    },
  }

  // Concurrent callers share this request, so it obeys only the deadline, not the signal of one caller.
  function served(): Promise<Range> {
    range ??= withDeadline(timeoutMs, undefined, fetchRange).catch((error) => {
      range = undefined
      throw error
    })
    return range
  }

  // Without token and version headers: the document is open to all, and is about to tell which versions there are.
  async function fetchRange(limit: Deadline): Promise<Range> {
    // Older catalogues end in the project's id, below which there is no version document.
    const url = `${versionRoot(await endpointOf(limit), true)}/`
    return rangeOf(
      await exchange(via, { operation: 'showVersion', method: 'GET', url, headers: {}, secrets: [] }, limit),
    )
  }
}

function rangeOf(reply: Reply): Range {
  const answer = jsonOf(reply)
  const missing = misfit(at(routes.showVersion.response, EARLIEST), answer)
  if (missing !== undefined) {
    throw new AnswerError(`no version document; does the endpoint end in /${API_VERSION}?`, circumstances(reply))
  }
  const { version } = answer as ResponseAt<'showVersion', typeof EARLIEST>
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
