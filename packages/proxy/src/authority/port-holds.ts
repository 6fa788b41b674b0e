/**
 * Holds consoles that serve one connection, such as serial ports, at oriel-api. Another proxy that dialled one would wait in
 * silence until this one closes its connection.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ExtensionBody, HeldPort } from '@oriel/contract'
import { deadline, type Logger, within } from '@oriel/runtime'
import { BadRequest, type OrielOperations } from '@oriel/sdk'
import { Refused } from '../refused.ts'
import type { PortClaim } from './authority.ts'
import { isAboutOne, isUnknown } from './verdict.ts'

export interface PortHoldsOptions {
  readonly oriel: Pick<OrielOperations, 'groupProxy' | 'holdPort' | 'showPort' | 'releasePort'>
  readonly proxyId: string
  /** Equal for the processes of one proxy, which share their ports. Absent: there is one. */
  readonly group: string | undefined
  /** Returns the refusal for a failed request. */
  readonly refusedBy: (cause: unknown) => Refused
  /** How long disposal waits for releases in progress. */
  readonly timeoutMs: number
  readonly log: Logger
}

/** The pause between two questions whether an earlier holder has closed its connection. */
const ASK_AGAIN_MS = 500

/** With an API that does not know ports, nothing is held. */
const NO_HOLD: Disposable = { [Symbol.dispose]: () => {} }

/** Disposal waits until all holds that were disposed of are released. */
export class PortHolds implements AsyncDisposable {
  readonly #options: PortHoldsOptions
  readonly #held = new Set<string>()
  readonly #releasing = new Set<Promise<void>>()
  #grouped: Promise<unknown> | undefined

  constructor(options: PortHoldsOptions) {
    this.#options = options
  }

  /**
   * Holds the console of a session until disposal. Waits until an earlier holder has closed its connection.
   * @throws Refused; the signal's reason once it aborts
   */
  async hold(claim: PortClaim, signal: AbortSignal): Promise<Disposable> {
    const port = await this.#claimWhileHolderMayBeLost(claim, signal)
    if (!port) return NO_HOLD
    if (port.hold_id === null) throw inUse(port.held_by)
    using undo = new DisposableStack()
    const held = undo.use(this.#add(port.hold_id))
    if (!port.ready) await this.#untilReady(port.hold_id, port.wait_seconds, signal)
    undo.move()
    return held
  }

  /**
   * Tells the API once which processes share their ports. Needed before a session is admitted: a session may read along a port
   * of another process. Without an answer the next call asks again.
   */
  async join(): Promise<void> {
    const { oriel, proxyId, group } = this.#options
    if (group === undefined) return
    this.#grouped ??= oriel.groupProxy({ proxy_id: proxyId, body: { group } }).catch((cause) => {
      // An older API does not know ports.
      if (!isUnknown(cause)) this.#grouped = undefined
    })
    await this.#grouped
  }

  /** Releases the holds that this proxy does not have. It releases the others once their sessions have ended. */
  lost(holdIds: readonly unknown[]): void {
    for (const id of holdIds) if (typeof id === 'string' && !this.#held.has(id)) this.#release(id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using limit = deadline(this.#options.timeoutMs)
    await within(limit.signal, Promise.all(this.#releasing)).catch(() => {})
  }

  /** Claims again while the API says that the holder may be lost, as when a page comes back after its proxy crashed. */
  async #claimWhileHolderMayBeLost(claim: PortClaim, signal: AbortSignal): Promise<HeldPort | undefined> {
    const first = await this.#claim(claim, signal)
    if (!first || first.hold_id !== null || first.wait_seconds === 0) return first
    using limit = deadline(first.wait_seconds * 1000, signal)
    for (;;) {
      await delay(ASK_AGAIN_MS, undefined, { signal: limit.signal }).catch(() => {})
      signal.throwIfAborted()
      const port = await this.#claim(claim, signal)
      if (port?.hold_id !== null || port.wait_seconds === 0 || limit.signal.aborted) return port
    }
  }

  /** Returns `undefined` if the API does not know ports. A hold that the client does not await any more is released. */
  async #claim(claim: PortClaim, signal: AbortSignal): Promise<HeldPort | undefined> {
    const { oriel, proxyId } = this.#options
    const claiming = oriel.holdPort({ proxy_id: proxyId, body: bodyOf(claim) })
    try {
      return (await within(signal, claiming)).port
    } catch (cause) {
      if (signal.aborted) claiming.then(({ port }) => port.hold_id && this.#release(port.hold_id)).catch(() => {})
      if (signal.aborted) throw signal.reason
      if (isUnknown(cause) || isTooNew(claim, cause)) return undefined
      if (isAboutOne(cause))
        throw new Refused('unknown_token', 'the session ended before its console opened', { cause })
      throw this.#options.refusedBy(cause)
    }
  }

  #add(holdId: string): Disposable {
    this.#held.add(holdId)
    return {
      [Symbol.dispose]: () => {
        if (this.#held.delete(holdId)) this.#release(holdId)
      },
    }
  }

  async #untilReady(holdId: string, seconds: number, signal: AbortSignal): Promise<void> {
    using limit = deadline(seconds * 1000, signal)
    while (!limit.signal.aborted) {
      await delay(ASK_AGAIN_MS, undefined, { signal: limit.signal }).catch(() => {})
      if (await this.#isReady(holdId, limit.signal)) return
    }
    signal.throwIfAborted()
    throw new Refused('in_use', 'the proxy that has the console open did not close it in time')
  }

  /** @throws Refused if the hold is lost */
  async #isReady(holdId: string, signal: AbortSignal): Promise<boolean> {
    const { oriel, proxyId, log } = this.#options
    try {
      return (await oriel.showPort({ proxy_id: proxyId, hold_id: holdId }, { signal })).port.ready
    } catch (err) {
      if (isAboutOne(err)) throw new Refused('in_use', 'another proxy took the console over meanwhile', { cause: err })
      log.debug({ err }, 'the authority could not say whether a port may be dialled')
      return false
    }
  }

  /** If it fails, the next proxy gets the port all the same, because no session has it open. */
  #release(holdId: string): void {
    const { oriel, proxyId, log } = this.#options
    const releasing: Promise<void> = oriel
      .releasePort({ proxy_id: proxyId, hold_id: holdId })
      .then(
        () => {},
        (err) => log.debug({ err }, 'a port could not be released'),
      )
      .finally(() => this.#releasing.delete(releasing))
    this.#releasing.add(releasing)
  }
}

/** An API that knows ports, but not the right of one session, refuses the request as malformed. */
const isTooNew = (claim: PortClaim, cause: unknown) =>
  'exclusive' in claim && claim.exclusive === true && cause instanceof BadRequest

const bodyOf = (claim: PortClaim): ExtensionBody<'holdPort'> =>
  'instance' in claim
    ? { server_id: claim.instance, type: 'serial' }
    : {
        session_id: claim.sessionId,
        ...(claim.takeOver && { take_over: true }),
        ...(claim.exclusive && { exclusive: true }),
      }

function inUse(holder: HeldPort['held_by']): Refused {
  const { proxy_id: proxy = 'another proxy', since, sessions = [] } = holder ?? {}
  const ids = sessions.map(({ id }) => id).join(', ')
  const by = sessions.find(({ label }) => label)?.label ?? undefined
  return new Refused('in_use', `${proxy} has the console open since ${since}, for the sessions ${ids}`, { by })
}
