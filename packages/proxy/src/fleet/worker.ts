/** One of several processes that share the listeners: a proxy without an admin listener, whose limits the primary counts. */
import { EventEmitter } from 'node:events'
import { guardPeer, Secret, type SignalSource, withProcessMetrics } from '@oriel/runtime'
import type { Entrant, Slot, Slots } from '../admit/limits.ts'
import { TakeOverNotice } from '../admit/sharing.ts'
import { createAuthority } from '../authority/index.ts'
import type { ProxyConfig } from '../config.ts'
import { createProxy, type ProxyDeps, type RunningProxy } from '../proxy.ts'
import { Refused } from '../refused.ts'
import type { SessionParties } from '../session/open-session.ts'
import type { LaterSession } from '../session/sessions.ts'
import { Calls } from './calls.ts'
import { workerConfig } from './config.ts'
import { type Figures, isSlotReply, type PrimaryAnswers, type SlotReply, type WorkerAnswers } from './contract.ts'
import { remotePageSessions } from './page-sessions.ts'
import { RemotePorts } from './serial-ports.ts'
import { RemoteConsoles } from './shared-consoles.ts'

/** The environment variable with the worker's number, from 0. */
export const WORKER_VARIABLE = 'PROXY_WORKER'
/** The environment variable with an id that all workers of a primary share. */
export const GROUP_VARIABLE = 'PROXY_GROUP'

/** Starts the proxy of a worker, and reports it to the primary. */
export async function startWorker(
  config: ProxyConfig,
  { log, pages }: Pick<ProxyDeps, 'log' | 'pages'>,
  signals: WorkerSignals,
): Promise<RunningProxy> {
  const index = Number(process.env[WORKER_VARIABLE])
  const workerLog = log.child({ worker: index, pid: process.pid })
  let proxy: RunningProxy | undefined
  const sharedConsoles = new RemoteConsoles(
    () => calls,
    (id) => proxy?.inside.leave(id),
    () => authority.sharedControl,
  )
  const calls: Calls<PrimaryAnswers> = new Calls((message) => process.send!(message), {
    sessions: () => proxy!.inside.sessions.list(),
    end: (id: string) => proxy!.inside.sessions.end(id),
    figures: async () => (await proxy!.inside.registry.getMetricsAsJSON()) as unknown as Figures,
    health: async () => why(() => proxy!.inside.health.check(AbortSignal.timeout(1_000))),
    protection: async () => proxy!.inside.protection(),
    takenOver: (slot: number, by: string | null) => slots.takenOver(slot, by),
    endEarlier: (later: LaterSession) => proxy!.inside.endEarlier(later),
    stop: () => signals.stop(),
    reload: () => signals.reload(),
    ...sharedConsoles.answers,
  } satisfies WorkerAnswers)
  process.on(
    'message',
    guardPeer(
      (message: unknown) => calls.take(message),
      (err) => workerLog.error({ err }, 'dropped a message from the primary'),
    ),
  )
  const slots = remoteSlots(calls)
  const ownConfig = withResumeKey(workerConfig(config, index), await calls.ask('resumeKey'))
  const authority = createAuthority(ownConfig, workerLog, process.env[GROUP_VARIABLE])
  authority.sharedControl?.subscribe(sharedConsoles)
  const serialPeers = new RemotePorts(() => calls, workerLog)
  const endEarlier = (later: LaterSession) => void calls.ask('endEarlier', later).catch(() => {})
  const shared = { slots, pageSessions: remotePageSessions(calls), sharedConsoles, serialPeers, endEarlier }
  proxy = await createProxy({ config: ownConfig, authority, log: workerLog, pages, ...shared })
  withProcessMetrics(proxy.inside.registry)
  await calls.ask('ready')
  const { reload } = proxy
  return { ...proxy, reload: (next) => reload(workerConfig(next, index)) }
}

/** Gives all workers one key, so that each accepts the tickets of the others. */
function withResumeKey(config: ProxyConfig, key: unknown): ProxyConfig {
  if (config.sessions.resume_key) return config
  if (typeof key !== 'string' || key === '') throw new Error('the primary returned a malformed resume key')
  return { ...config, sessions: { ...config.sessions, resume_key: new Secret(key) } }
}

/** The slots of a worker, which the primary counts. */
export interface RemoteSlots extends Slots {
  /** Ends the session in the slot with this number, because another viewer took its console over. */
  takenOver(slot: number, by: string | null): void
}

/** Creates slots that the primary counts. */
export function remoteSlots(calls: Pick<Calls<PrimaryAnswers>, 'ask' | 'askFor'>): RemoteSlots {
  const held = new Map<number, RemoteSlot>()
  const notify = (name: SlotCall, slot: number) => void calls.ask(name, slot).catch(() => {})
  const giveBack = (late: SlotReply) => {
    if (isSlotReply(late) && 'slot' in late) notify('leave', late.slot)
  }
  return {
    enter: async (entrant: Entrant): Promise<Slot> => {
      const reply = await calls.askFor(giveBack, 'enter', messageOf(entrant))
      if (!isSlotReply(reply)) throw new Error('the primary returned a malformed reply to enter')
      if ('refusal' in reply) throw new Refused(reply.refusal, reply.detail)
      const slot = new RemoteSlot((name) => {
        if (name !== 'leave' || held.delete(reply.slot)) notify(name, reply.slot)
      })
      held.set(reply.slot, slot)
      return slot
    },
    takenOver: (number, by) => held.get(number)?.takenOver(typeof by === 'string' ? by : undefined),
  }
}

/** The members of an entrant that the primary needs: callers pass all facts of a session. */
function messageOf({ type, role, label, takeOver, singleUse, resumes, replaces, ...entrant }: Entrant): Entrant {
  const freed = replaces ? { replaces: partiesOf(replaces) } : {}
  return { ...partiesOf(entrant), type, role, label, takeOver, singleUse, resumes, ...freed }
}

const partiesOf = ({ tokenDigest, instance, client }: SessionParties): SessionParties => ({
  tokenDigest,
  instance,
  client,
})

type SlotCall = 'opened' | 'leave' | 'forbidResume'

class RemoteSlot extends TakeOverNotice implements Slot {
  readonly #notify: (name: SlotCall) => void

  constructor(notify: (name: SlotCall) => void) {
    super()
    this.#notify = notify
  }

  opened(): void {
    this.#notify('opened')
  }

  forbidResume(): void {
    this.#notify('forbidResume')
  }

  [Symbol.dispose](): void {
    this.#notify('leave')
  }
}

/**
 * The signals of a worker. A service manager or terminal signals every process at once, and the primary repeats the signal
 * over its channel. All of these count as one request to stop; none counts as the second one, which means "at once".
 */
export class WorkerSignals implements SignalSource {
  readonly #signals = new EventEmitter()
  #stopped = false

  constructor() {
    // The program's launcher unrefs the channel, but this worker binds addresses through it.
    process.channel?.ref()
    process.on('SIGTERM', () => this.stop())
    process.on('SIGINT', () => this.stop())
    // Ignored: the primary requests the reload over its channel, so that each worker reloads once.
    process.on('SIGHUP', () => {})
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#signals.emit('SIGTERM')
  }

  reload(): void {
    this.#signals.emit('SIGHUP')
  }

  on(event: string, listener: (...values: unknown[]) => void): void {
    if (!event.startsWith('SIG')) process.on(event, listener)
    else this.#signals.on(event, listener)
    if (event === 'SIGTERM' && this.#stopped) listener()
  }

  off(event: string, listener: (...values: unknown[]) => void): void {
    if (!event.startsWith('SIG')) process.off(event, listener)
    else this.#signals.off(event, listener)
  }
}

async function why(check: () => unknown): Promise<string | null> {
  try {
    await check()
    return null
  } catch (error) {
    return (error as Error).message
  }
}
