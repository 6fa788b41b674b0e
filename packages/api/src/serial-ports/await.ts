/** POST /oriel/v1/proxies/{proxy_id}/serial-ports: a proxy waits for a change of the serial ports that it must hold. */
import type { ExtensionResponse } from '@oriel/contract'
import { deadline, sha256Hex, within } from '@oriel/runtime'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { proxyIdOf, requireOwnProxy } from '../sessions/proxy-owner.ts'
import type { Source } from '../sources/source.ts'
import type { SerialPortDeps } from './deps.ts'
import type { LogAsks } from './log-asks.ts'
import { portsOf } from './ports.ts'

const REPLICA_POLL_MS = 1_000

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
    using news = newsOf(deps.source, deps.logAsks)
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

interface News extends Disposable {
  /** Resolves after the next change of the source, after the next question for a log, after `ms`, or once `signal` aborts. */
  next(ms: number, signal: AbortSignal): Promise<void>
}

/** Remembers a change between two calls of `next`. */
function newsOf(source: Source, logAsks: LogAsks): News {
  let changed = Promise.withResolvers<void>()
  const onNews = () => changed.resolve()
  using subscribing = new DisposableStack()
  subscribing.use(source.onSerialPorts?.(onNews))
  subscribing.use(logAsks.subscribe(onNews))
  const subscriptions = subscribing.move()
  return {
    async next(ms, signal) {
      using pause = deadline(ms, signal)
      await within(pause.signal, changed.promise).catch(() => {})
      changed = Promise.withResolvers()
    },
    [Symbol.dispose]: () => subscriptions[Symbol.dispose](),
  }
}
