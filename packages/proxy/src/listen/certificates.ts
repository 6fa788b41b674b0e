/** The certificates of listeners, at the start and after a reload. */
import { X509Certificate } from 'node:crypto'
import type { Logger } from '@oriel/runtime'
import type { ListenerConfig } from './config.ts'
import type { Listener, ListenerTls } from './http.ts'

export const listenerTls = ({ cert, key, min_version, ciphers }: NonNullable<ListenerConfig['tls']>): ListenerTls => ({
  ...{ cert, key: key.reveal(), minVersion: min_version, ciphers },
})

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
      for (const [i, listener] of same.entries()) reloadCertificate(listener, tables[i]!, log)
    } else {
      log.warn(
        { listener: configured },
        'the number of tables with this address has changed; keeping the old certificate',
      )
    }
  }
}

function reloadCertificate(listener: Listener, { tls }: ListenerConfig, log: Logger): void {
  if (!tls) return
  const facts = { listener: listener.address }
  try {
    const changed = listener.secure(listenerTls(tls))
    const { subject, validTo } = new X509Certificate(tls.cert)
    if (changed) log.info({ ...facts, subject, validTo }, 'certificate replaced')
  } catch (error) {
    log.error({ ...facts, err: error }, 'the new certificate is unusable; keeping the old one')
  }
}
