/** The handlers for the extension's routes about serial ports. */
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { proxyIdOf, requireOwnProxy } from '../sessions/proxy-owner.ts'
import { awaitSerialPorts } from './await.ts'
import { confirmSerialPort } from './confirm.ts'
import type { SerialPortDeps } from './deps.ts'
import { reportSerialLog } from './report-log.ts'

export const serialPortOperations = (deps: SerialPortDeps) =>
  ({
    awaitSerialPorts: awaitSerialPorts(deps),
    confirmSerialPort: confirmSerialPort(deps),
    reportSerialLog: reportSerialLog(deps),
    releaseSerialPorts: releaseSerialPorts(deps),
  }) satisfies Partial<ExtensionOperations>

function releaseSerialPorts(deps: SerialPortDeps): ExtensionOperations['releaseSerialPorts'] {
  return async function releaseSerialPorts({ params, identity }) {
    const proxyId = proxyIdOf(params)
    await requireOwnProxy(deps, proxyId, identity)
    await deps.serialPorts.leave(proxyId)
    return { pending: false }
  }
}
