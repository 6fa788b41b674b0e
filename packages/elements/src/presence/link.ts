/** The presence WebSocket beside a console: who is there, and who has control. A console works without it. */
import {
  closeReasons,
  PRESENCE_PATH,
  PRESENCE_SUBPROTOCOL,
  type PresencePing,
  type PresenceRequest,
  type PresenceState,
  pageSubprotocol,
  REFUSALS_SUBPROTOCOL,
  readRefusal,
  SERVER_PARAMETER,
} from '@oriel/contract'
import { loadPart } from '../load-part.ts'
import type { ConsoleAddress } from '../page-key.ts'
import { plainLine } from '../plain-line.ts'
import type { InvitationAnswer, InvitationRequest, InvitationRequests } from './invitations.ts'

/** Pause before the first retry; it doubles from one retry to the next. */
export const firstPauseMs = 1_000
export const maxAttempts = 5
/** Behind a balancer that distributes single requests, the presence may reach another proxy than the console. */
export const maxMisses = 6
export const missPauseMs = 100
/** How often a page that is seen asks whether its link still works. */
export const probeIntervalMs = 10_000
/** How long the answer may take. */
export const probeTimeoutMs = 6_000
/** A timer that fires this late proves nothing about the link: the computer slept, or the page was busy. */
export const maxLateMs = 1_000
/** How long an element waits for the first state before it shows the console without it. */
export const openTimeoutMs = 3_000

export interface PresenceEvents {
  /** The state has changed. `undefined`: the proxy has no presence for this console, or it was lost for good. */
  state(state: PresenceState | undefined): void
  /** The proxy refused a request. `text` may come from any server: show it as text, never as markup. */
  refused(text: string): void
  /** The proxy did not answer a probe for {@link probeTimeoutMs}. */
  silent(): void
}

/** Returns the address of the presence WebSocket of the console at `address`: without its token, for the same proxy. */
export function presenceAddress(address: URL): URL {
  const presence = new URL(PRESENCE_PATH, address)
  const server = address.searchParams.get(SERVER_PARAMETER)
  if (server !== null) presence.searchParams.set(SERVER_PARAMETER, server)
  return presence
}

export class PresenceLink {
  readonly #to: Pick<ConsoleAddress, 'address' | 'pageKey'>
  readonly #events: PresenceEvents
  #socket: WebSocket | undefined
  #deadline: ReturnType<typeof setTimeout> | undefined
  #retry: ReturnType<typeof setTimeout> | undefined
  #probing: ReturnType<typeof setTimeout> | undefined
  #probes: ReturnType<typeof setInterval> | undefined
  /** Loaded for the first request about invitations. */
  #invitations: InvitationRequests | undefined
  #attempts = 0
  #misses = 0
  #hadState = false
  #closed = false

  /** Dials at once. The proxy must have accepted the console before. */
  constructor(to: Pick<ConsoleAddress, 'address' | 'pageKey'>, events: PresenceEvents) {
    this.#to = to
    this.#events = events
    this.#dial()
    this.#deadline = setTimeout(() => this.#giveUp(), openTimeoutMs)
  }

  /** Sends a ping. {@link PresenceEvents.silent} follows if no message arrives within {@link probeTimeoutMs}. */
  probe(): void {
    if (this.#probing !== undefined || !this.#hadState || this.#socket?.readyState !== WebSocket.OPEN) return
    this.#socket.send(JSON.stringify({ type: 'ping' } satisfies PresencePing))
    const dueAt = performance.now() + probeTimeoutMs
    this.#probing = setTimeout(() => this.#unanswered(dueAt), probeTimeoutMs)
  }

  /** Sends a request. Returns `false`, and drops it, while the WebSocket is not open. */
  send(request: PresenceRequest): boolean {
    const isOpen = this.#socket?.readyState === WebSocket.OPEN
    if (isOpen) this.#socket?.send(JSON.stringify(request))
    return isOpen
  }

  /** Sends a request about invitations and waits for its answer. @throws Error with a sentence for the user */
  async ask(request: InvitationRequest): Promise<InvitationAnswer> {
    const { InvitationRequests } = await loadPart(() => import('./invitations.ts'))
    this.#invitations ??= new InvitationRequests()
    return this.#invitations.ask(request, (sent) => this.send(sent))
  }

  /** Closes the WebSocket. No event follows. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#deadline)
    clearTimeout(this.#retry)
    clearInterval(this.#probes)
    this.#answered()
    this.#socket?.close()
    this.#invitations?.lost()
  }

  #dial(): void {
    const { address, pageKey } = this.#to
    const protocols = [PRESENCE_SUBPROTOCOL, REFUSALS_SUBPROTOCOL, pageSubprotocol(pageKey)]
    const socket = new WebSocket(presenceAddress(address), protocols)
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => {
      if (!this.#closed && typeof data === 'string') this.#read(data)
    })
    socket.addEventListener('close', ({ code, reason }) => {
      if (this.#closed) return
      this.#answered()
      this.#invitations?.lost()
      if (readRefusal(code, reason)?.refusal === 'unknown_token') this.#missed()
      else this.#lost(code)
    })
  }

  #probeIfSeen(): void {
    if (document.visibilityState === 'visible') this.probe()
  }

  #unanswered(dueAt: number): void {
    this.#answered()
    if (performance.now() - dueAt > maxLateMs) this.probe()
    else this.#events.silent()
  }

  #answered(): void {
    clearTimeout(this.#probing)
    this.#probing = undefined
  }

  #read(text: string): void {
    this.#answered()
    const message = parse(text)
    if (isState(message)) {
      clearTimeout(this.#deadline)
      this.#hadState = true
      this.#probes ??= setInterval(() => this.#probeIfSeen(), probeIntervalMs)
      this.#attempts = 0
      this.#misses = 0
      this.#events.state(message)
    } else if (message && this.#invitations?.answered(message, (text) => plainLine(String(text)))) return
    // An older proxy refuses a ping. The refusal is an answer, too.
    else if (message?.type === 'refused' && message.request !== 'ping') this.#events.refused(String(message.text))
  }

  /** Dials again at once, in the hope to reach the proxy that has the console. */
  #missed(): void {
    this.#misses += 1
    this.#dialIf(this.#misses < maxMisses, missPauseMs)
  }

  /** Dials again, unless the proxy has no presence, or another WebSocket of this page replaced this one. */
  #lost(code: number): void {
    const retries = this.#hadState && code !== closeReasons.taken_over.code && this.#attempts < maxAttempts
    this.#dialIf(retries, firstPauseMs * 2 ** this.#attempts)
    this.#attempts += 1
  }

  #dialIf(retries: boolean, pauseMs: number): void {
    if (!retries) this.#giveUp()
    else this.#retry = setTimeout(() => this.#dial(), pauseMs)
  }

  #giveUp(): void {
    this.close()
    this.#events.state(undefined)
  }
}

function parse(text: string): InvitationAnswer | undefined {
  try {
    const message: unknown = JSON.parse(text)
    return typeof message === 'object' && message !== null ? message : undefined
  } catch {
    return undefined
  }
}

/** Checks what the pages iterate over: the server may be another one. */
function isState(message: InvitationAnswer | undefined): message is PresenceState {
  if (message?.type !== 'state') return false
  const { participants, control, invitations } = message as Partial<PresenceState>
  const hasList = invitations === undefined || Array.isArray(invitations?.list)
  return Array.isArray(participants) && Array.isArray(control?.requested_by) && hasList
}
