/** GET /oriel/v1/proxies/{proxy_id}/serial-ports/{server_id}: a proxy that has dialled a port asks whether it is the server's. */
import { HttpFault } from '../http/faults.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { consoleNow } from '../sessions/console-now.ts'
import { proxyIdOf, requireOwnProxy } from '../sessions/proxy-owner.ts'
import { isOff } from '../sources/server.ts'
import { withinDeadline } from '../sources/within-deadline.ts'
import type { SerialPortDeps } from './deps.ts'
import { holderOf } from './holder.ts'
import { documentOf, holdersNow } from './ports.ts'

/** Asks the hypervisor, as an admission does: another guest may have the port since the list was made. */
export function confirmSerialPort(deps: SerialPortDeps): ExtensionOperations['confirmSerialPort'] {
  return async function confirmSerialPort({ params, identity, signal }) {
    const proxyId = proxyIdOf(params)
    const serverId = params.server_id!
    await requireOwnProxy(deps, proxyId, identity)
    const known = await withinDeadline(signal, deps.source.find(serverId, { signal }))
    if (!known || holderOf(serverId, await holdersNow(deps)) !== proxyId) throw notHeld(serverId)
    const then = { serverId, projectId: known.projectId, protocol: 'serial', type: 'serial' } as const
    const now = await consoleNow(deps, then, signal)
    if (now.difference !== undefined || isOff(now.server.vmState)) throw notHeld(serverId)
    return { serial_port: documentOf(now.server, now.address) }
  }
}

const notHeld = (serverId: string) =>
  new HttpFault(404, `The serial port of server ${serverId} is not for this proxy to hold.`)
