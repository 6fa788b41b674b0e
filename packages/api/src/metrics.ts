/** Metrics for Prometheus: counts and durations. No label names a token, a user, an instance or an address. */
import type { ConsoleRole, ConsoleType } from '@oriel/contract'
import * as prom from 'prom-client'

/** The outcome of a proxy's look-up of a console token. `left`: the proxy closed the connection before the response. */
export type LookupResult = 'found' | 'unknown' | 'moved' | 'refused' | 'unavailable' | 'left'
/** The outcome of a caller's authentication, by any method. */
export type AuthenticationResult = 'ok' | 'refused' | 'unavailable' | 'left'
/** A request to Keystone: the sign-in of the API's own user, or the look-up of a caller's token. */
export type KeystoneOperation = 'sign_in' | 'look_up'
/** `unknown`: Keystone does not know the caller's token. `refused`: it refuses the API's own credential or token. */
export type KeystoneResult = 'ok' | 'unknown' | 'refused' | 'unavailable'

/** The label of methods that the API does not use, and of requests without a route: unknown paths, preflights, malformed ones. */
export const OTHER = 'other'

export interface RequestLabels {
  readonly method: string
  /** The route's template, such as `/v2.1/servers/{server_id}`, or `other` without a route. */
  readonly route: string
}

/** The present state of a source of servers. */
export interface SourceState {
  /** Its position in the configuration and its kind, such as `sources[0] qemu`. */
  readonly source: string
  readonly isUp: boolean
}

export interface ApiMetrics {
  readonly registry: prom.Registry
  request(labels: RequestLabels, status: number, seconds: number): void
  /** Counts a request that is not HTTP as the API accepts it, and so has no route. */
  malformed(status: number): void
  lookup(result: LookupResult): void
  consoleCreated(type: ConsoleType, role: ConsoleRole): void
  authentication(result: AuthenticationResult): void
  keystone(operation: KeystoneOperation, result: KeystoneResult, seconds: number): void
  /** Records a wait for the database: `connect` for a connection, else the kind of statement. */
  database(operation: string, result: string, seconds: number): void
  /** Adds the gauges of the sources. `check` runs at each scrape, so it needs a deadline. */
  sources(check: () => Promise<readonly SourceState[]>): void
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export function createApiMetrics(): ApiMetrics {
  const registry = new prom.Registry()
  const { counter, histogram } = makers(registry)
  const requests = counter('requests_total', 'Requests, by route and status.', ['method', 'route', 'status'])
  const durations = histogram('request_seconds', 'Durations of requests, by route.', ['method', 'route'])
  const lookups = counter('token_lookups_total', 'Look-ups of console tokens by proxies.', ['result'])
  const created = counter('consoles_created_total', 'Consoles that callers created.', ['type', 'role'])
  const authentications = counter('authentications_total', 'Authentications of callers.', ['result'])
  const keystone = histogram('keystone_seconds', 'Requests to Keystone.', ['operation', 'result'])
  const database = histogram('database_seconds', 'Waits for the database.', ['operation', 'result'])
  return {
    registry,
    request: (labels, status, seconds) => {
      requests.inc({ ...labels, status })
      durations.observe({ ...labels }, seconds)
    },
    malformed: (status) => requests.inc({ method: OTHER, route: OTHER, status }),
    lookup: (result) => lookups.inc({ result }),
    consoleCreated: (type, role) => created.inc({ type, role }),
    authentication: (result) => authentications.inc({ result }),
    keystone: (operation, result, seconds) => keystone.observe({ operation, result }, seconds),
    database: (operation, result, seconds) => database.observe({ operation, result }, seconds),
    sources: (check) => sourceGauges(registry, check),
  }
}

function makers(registry: prom.Registry) {
  const registers = [registry]
  return {
    counter: (name: string, help: string, labelNames: string[]) =>
      new prom.Counter({ name: `oriel_api_${name}`, help, labelNames, registers }),
    histogram: (name: string, help: string, labelNames: string[]) =>
      new prom.Histogram({ name: `oriel_api_${name}`, help, labelNames, buckets: SECONDS, registers }),
  }
}

/** Each gauge runs the check, because a registry collects all its metrics at the same time. */
function sourceGauges(registry: prom.Registry, check: () => Promise<readonly SourceState[]>): void {
  new prom.Gauge({
    name: 'oriel_api_source_up',
    help: 'Whether the source of servers responds for all its servers: 1 or 0.',
    labelNames: ['source'],
    registers: [registry],
    async collect() {
      for (const { source, isUp } of await check()) this.set({ source }, isUp ? 1 : 0)
    },
  })
  new prom.Gauge({
    name: 'oriel_api_source_last_success_timestamp_seconds',
    help: 'When the source last responded for all its servers at a scrape. Absent before the first time.',
    labelNames: ['source'],
    registers: [registry],
    async collect() {
      for (const { source, isUp } of await check()) if (isUp) this.setToCurrentTime({ source })
    },
  })
}
