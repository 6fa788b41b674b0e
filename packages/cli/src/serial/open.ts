/** Opens the serial console of a server as text. */
import { openSerial, type Serial } from '@oriel/console'
import { creatorOf, type Role } from '../cloud/create-console.ts'
import type { Server } from '../cloud/servers.ts'
import type { Cloud } from '../cloud/sign-in.ts'
import { webSocketOf } from '../console/dial.ts'

export interface OpenSerialOptions {
  readonly role?: Role
  /** Whether to open the console again, without a limit of time, after an end that allows it. Default: false. */
  readonly reconnect?: boolean
  /** Ends the opening. */
  readonly signal?: AbortSignal
}

/** Opens the serial console of a server. @throws Failure, or an error of the SDK or the console */
export function openSerialOf(
  cloud: Cloud,
  server: Server,
  { role, reconnect, signal }: OpenSerialOptions,
): Promise<Serial> {
  const again = { reconnect, reconnectWindowMs: Number.POSITIVE_INFINITY }
  const options = { ...again, signal, openTimeoutMs: cloud.timeoutMs, webSocket: webSocketOf(cloud) }
  return openSerial(creatorOf(cloud, server, 'serial', role), server.id, options)
}
