/** The output of a server that the proxy keeps which holds its serial port, for servers whose source has no log. */
import { setTimeout as delay } from 'node:timers/promises'
import { deadline } from '@oriel/runtime'
import type { KeptOutput } from '../consoles/output.ts'
import type { SerialPortDeps } from './deps.ts'
import { holderOf } from './holder.ts'
import { holdersNow } from './ports.ts'
import type { LogAsk } from './store.ts'

const SERIAL_LOG_MS = 3_000
/** A proxy that waits at another replica of the API answers by way of the database. */
const POLL_MS = 50

/**
 * Asks the proxy by its waiting request, which may be at another replica, as may its answer. Without a proxy that holds the port
 * there is no output, at once.
 */
export function keptOutput(deps: SerialPortDeps): KeptOutput {
  const { serialPorts, logAsks, source, serialLogMs = SERIAL_LOG_MS } = deps
  return async function keptOutput({ id }, signal) {
    const ports = (await source.serialPorts?.()) ?? []
    if (!ports.some(({ server }) => server.id === id)) return undefined
    if (holderOf(id, await holdersNow(deps)) === undefined) return undefined
    using limit = deadline(serialLogMs, signal)
    let ask: LogAsk | undefined
    while (!limit.signal.aborted) {
      const next = await serialPorts.askLog(id)
      if (next.askId !== ask?.askId) logAsks.notify(id)
      ask = next
      const log = await untilAnswered(deps, ask, limit.signal)
      if (log !== undefined) return Buffer.from(log, 'base64')
    }
    return undefined
  }
}

/** Returns `undefined` once another caller has taken the answer, or `signal` aborts. */
async function untilAnswered(
  { serialPorts }: SerialPortDeps,
  ask: LogAsk,
  signal: AbortSignal,
): Promise<string | undefined> {
  while (!signal.aborted) {
    const log = await serialPorts.takeLog(ask)
    if (log !== undefined) return log
    if (!(await serialPorts.isAsked(ask))) return undefined
    await delay(POLL_MS, undefined, { signal }).catch(() => {})
  }
  return undefined
}
