/** The serial ports that one proxy must hold. */
import type { SerialPort as SerialPortDocument } from '@oriel/contract'
import { lostAfterMs } from '../sessions/keeper.ts'
import type { Server } from '../sources/server.ts'
import type { ConsoleAddress } from '../sources/source.ts'
import type { SerialPortDeps } from './deps.ts'
import { type Holders, holderOf } from './holder.ts'

/** Sorted by the server's id. */
export async function portsOf(deps: SerialPortDeps, proxyId: string): Promise<readonly SerialPortDocument[]> {
  const ports = (await deps.source.serialPorts?.()) ?? []
  const holders = await holdersNow(deps)
  return ports
    .filter(({ server }) => holderOf(server.id, holders) === proxyId)
    .map(({ server, address }) => documentOf(server, address))
    .toSorted((a, b) => (a.server_id < b.server_id ? -1 : 1))
}

export async function holdersNow({ serialPorts, config }: SerialPortDeps): Promise<Holders> {
  const silentMs = lostAfterMs(config.sessions.beat_seconds)
  const [standing, viewed] = await Promise.all([serialPorts.standing(silentMs), serialPorts.viewed(silentMs)])
  return { standing, viewed }
}

export const documentOf = (server: Server, { host, port }: ConsoleAddress): SerialPortDocument => ({
  server_id: server.id,
  server_name: server.name,
  project_id: server.projectId,
  host,
  port,
})
