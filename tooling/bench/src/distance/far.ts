/** Opens the way of a person at a distance to a console: a relay with an emulated link, and the page behind it. */
import { type Part, startPart } from '../fork.ts'
import type { Entrant } from '../lab.ts'

/** What may wait in front of the bottleneck, as in a small router: 50 ms at 10 Mbit/s. */
const QUEUE_BYTES = 64 * 1024

export interface FarLink {
  readonly roundTripMs: number
  /** Bits per second towards the client. Default: unlimited. */
  readonly rate?: number
}

export interface FarConsole extends AsyncDisposable {
  /** The address of the console's page. */
  readonly url: string
}

/** Each console is opened with another token and thus another server, because limits apply to each. */
let sessions = 0

/** Starts the relay to an entrant. @param vncPort the port of the console */
export async function openFar({ target }: Entrant, vncPort: number, link: FarLink): Promise<FarConsole> {
  const { roundTripMs, rate = Number.POSITIVE_INFINITY } = link
  sessions += 1
  const relay: Part = await startPart('distant', [target.port, roundTripMs / 2, rate, QUEUE_BYTES].map(String))
  const path = encodeURIComponent(`?token=${vncPort}.${sessions}`)
  const url = `http://127.0.0.1:${relay.ports.tcp}/vnc_lite.html?path=${path}`
  return { url, [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose]() }
}
