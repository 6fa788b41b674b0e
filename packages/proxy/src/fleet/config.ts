/** The differences between a worker's configuration and that of a single process. */
import { randomBytes } from 'node:crypto'
import type { ProxyConfig } from '../config.ts'
import { isNative } from '../listen/config.ts'

/**
 * Builds the configuration of worker `index`: no admin listener, because the primary has it; native SPICE only in the first
 * worker; an equal share of the memory for slow clients and of the standing serial ports; and a separate `proxy_id`, so that oriel-api does not mix up the
 * sessions of different processes.
 */
export function workerConfig({ admin: _, ...config }: ProxyConfig, index: number): ProxyConfig {
  const { authority, consoles, listen, sessions } = config
  const share = (total: number) => Math.max(1, Math.floor(total / sessions.workers))
  const id = authority.proxy_id
  return {
    ...config,
    consoles: { ...consoles, serial: { ...consoles.serial, standing_ports: share(consoles.serial.standing_ports) } },
    sessions: { ...sessions, max_buffered_mib: share(sessions.max_buffered_mib) },
    listen: index === 0 ? listen : listen.filter((entry) => !isNative(entry)),
    authority: id === undefined ? authority : { ...authority, proxy_id: nameOf(id, index) },
  }
}

const MAX_NAME = 64

const nameOf = (id: string, index: number) => {
  const end = `-${index}-${randomBytes(2).toString('hex')}`
  return `${id.slice(0, MAX_NAME - end.length)}${end}`
}
