/** What a worker does differently from a proxy that is alone. */
import { randomBytes } from 'node:crypto'
import { isNative, type ProxyConfig } from '../config.ts'

/**
 * The configuration of worker `index`: no admin listener, which is the primary's; native SPICE in the first one alone; an
 * equal part of the memory for slow clients; and its own `proxy_id`, so that oriel-api does not mix up the sessions of
 * different processes.
 */
export function workerConfig({ admin: _, ...config }: ProxyConfig, index: number): ProxyConfig {
  const { authority, listen, sessions } = config
  const id = authority.proxy_id
  return {
    ...config,
    sessions: { ...sessions, max_buffered_mib: Math.max(1, Math.floor(sessions.max_buffered_mib / sessions.workers)) },
    listen: index === 0 ? listen : listen.filter((entry) => !isNative(entry)),
    authority: id === undefined ? authority : { ...authority, proxy_id: nameOf(id, index) },
  }
}

const MAX_NAME = 64

const nameOf = (id: string, index: number) => {
  const end = `-${index}-${randomBytes(2).toString('hex')}`
  return `${id.slice(0, MAX_NAME - end.length)}${end}`
}
