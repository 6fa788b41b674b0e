/** POST /oriel/v1/proxies/{proxy_id}/serial-ports: a proxy waits for a change of the serial ports that it must hold. */
import type { ExtensionResponse } from '@oriel/contract'
import { deadline, sha256Hex } from '@oriel/runtime'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { type News, REPLICA_POLL_MS, Waiter } from '../sessions/news.ts'
import { proxyIdOf, requireOwnProxy } from '../sessions/proxy-owner.ts'
import type { Source } from '../sources/source.ts'
import type { SerialPortDeps } from './deps.ts'
import { portsOf } from './ports.ts'

/**
 * Answers as soon as the ports differ from those that the proxy knows: at once after a change in a source, and within a second
 * after one at another replica, which only the database shows.
 */
export function awaitSerialPorts(deps: SerialPortDeps): ExtensionOperations['awaitSerialPorts'] {
  const { draining = () => false, replicaPollMs = REPLICA_POLL_MS } = deps
  return async function awaitSerialPorts({ params, body, identity, signal }) {
    const proxyId = proxyIdOf(params)
    await requireOwnProxy(deps, proxyId, identity)
    await deps.serialPorts.stand({ proxyId, group: body.group ?? proxyId })
    using limit = deadline((body.wait_seconds ?? 0) * 1000, signal)
    using news = waiterFor(deps.source, deps.logAsks)
    for (;;) {
      const answer = await answerTo(deps, proxyId)
      if (answer.version !== body.version || limit.signal.aborted || draining()) return answer
      await news.next(replicaPollMs, limit.signal)
    }
  }
}

async function answerTo(deps: SerialPortDeps, proxyId: string): Promise<ExtensionResponse<'awaitSerialPorts'>> {
  const serial_ports = [...(await portsOf(deps, proxyId))]
  const held = new Set(serial_ports.map(({ server_id }) => server_id))
  const wanted_logs = (await deps.serialPorts.askedLogs())
    .filter(({ serverId }) => held.has(serverId))
    .map(({ serverId, askId }) => ({ server_id: serverId, ask_id: askId }))
  return { version: sha256Hex(JSON.stringify([serial_ports, wanted_logs])), serial_ports, wanted_logs }
}

/** Wakes after the next change of the source, and after the next question for a log. */
function waiterFor(source: Source, logAsks: News): Waiter & Disposable {
  const waiter = new Waiter()
  const wake = () => waiter.wake()
  using subscribing = new DisposableStack()
  subscribing.use(source.onSerialPorts?.(wake))
  subscribing.use(logAsks.subscribe(wake))
  const subscriptions = subscribing.move()
  return Object.assign(waiter, { [Symbol.dispose]: () => subscriptions[Symbol.dispose]() })
}
