/** The certificates of listeners after a reload. */
import { type Logger, reloadCertificate } from '@oriel/runtime'
import type { ListenerConfig } from './config.ts'
import type { Listener } from './http.ts'

/**
 * Gives each listener the certificate of the table with its address. A listener keeps its certificate if the new one is
 * unusable, or if the number of tables with its address has changed.
 */
export function reloadCertificates(
  listeners: readonly Listener[],
  listen: readonly ListenerConfig[],
  log: Logger,
): void {
  for (const [configured, same] of Map.groupBy(listeners, (listener) => listener.configured)) {
    const tables = listen.filter(({ address }) => address === configured)
    if (tables.length === same.length) {
      for (const [i, listener] of same.entries()) reloadCertificate(listener, tables[i]!.tls, log)
    } else {
      log.warn(
        { listener: configured },
        'the number of tables with this address has changed; keeping the old certificate',
      )
    }
  }
}
