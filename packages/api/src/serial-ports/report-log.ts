/** PUT /oriel/v1/proxies/{proxy_id}/serial-ports/{server_id}/log: a proxy reports the output that the API wants. */
import { HttpFault } from '../http/faults.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { proxyIdOf, requireOwnProxy } from '../sessions/proxy-owner.ts'
import type { SerialPortDeps } from './deps.ts'
import { holderOf } from './holder.ts'
import { holdersNow } from './ports.ts'

/** 404 for a proxy that must not hold the port, and for a question that is no longer open. */
export function reportSerialLog(deps: SerialPortDeps): ExtensionOperations['reportSerialLog'] {
  return async function reportSerialLog({ params, body, identity }) {
    const proxyId = proxyIdOf(params)
    const serverId = params.server_id!
    await requireOwnProxy(deps, proxyId, identity)
    const isHolder = holderOf(serverId, await holdersNow(deps)) === proxyId
    const isAnswer = isHolder && (await deps.serialPorts.answerLog({ serverId, askId: body.ask_id }, body.log))
    if (!isAnswer) throw new HttpFault(404, `No output of server ${serverId} is wanted from this proxy.`)
    return { pending: false }
  }
}
