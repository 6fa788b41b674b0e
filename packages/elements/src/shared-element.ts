/** The part of the console elements that knows who has the console open, and who has control of it. */
import type {
  ConsoleRole,
  PresenceInvitation,
  PresenceParticipant,
  PresenceRequest,
  PresenceState,
} from '@oriel/contract'
import type { Viewers } from './console-events.ts'
import { t } from './language/texts/elements.ts'
import { loadPart } from './load-part.ts'
import type { ConsoleAddress } from './page-key.ts'
import { plainLine } from './plain-line.ts'
import type { CreatedInvitation, InvitationAnswer, InvitationRequest } from './presence/invitations.ts'
import { PresenceLink } from './presence/link.ts'

/** An invitation to the open session. */
export interface InviteOptions {
  /** `watch`: the guest sees the console. `control`: the guest may also type. */
  readonly role: ConsoleRole
  /** How long the link may be opened, in whole seconds. Default: that of a new console. */
  readonly ttlSeconds?: number | undefined
  /** A name for people, of at most 64 characters. Others see it beside the guest. */
  readonly label?: string | undefined
}

/** A console that several people may have open. Subclasses open and close its presence with the console. */
export abstract class SharedElement extends HTMLElement {
  #link: PresenceLink | undefined
  #presence: PresenceState | undefined
  #presencePending = false
  #latencyMs: number | undefined
  #role: ConsoleRole | undefined

  /** Who has this console open and who has control; `undefined` if the proxy does not say so, or has not yet. */
  get presence(): PresenceState | undefined {
    return this.#presence
  }
  /** Whether the console is connected and the first `presence` event is still to come. */
  get presencePending(): boolean {
    return this.#presencePending
  }
  /** The sessions that have this console open at the same proxy, the oldest first. Show labels as text, never as markup. */
  get participants(): readonly PresenceParticipant[] {
    return this.#presence?.participants ?? []
  }
  /** The last round trip between page and proxy, in milliseconds; `undefined` if it is not known. */
  get latencyMs(): number | undefined {
    return this.#latencyMs
  }
  /** The role of this session, once it is known. */
  get consoleRole(): ConsoleRole | undefined {
    return this.#role
  }
  /** Whether this session's input reaches the machine. The proxy enforces this. */
  get hasControl(): boolean {
    const self = this.participants.find(({ id }) => id === this.#presence?.you)
    return self?.has_control ?? this.#role !== 'watch'
  }

  /** Asks those who have control to give it. */
  requestControl(): void {
    this.#ask({ type: 'request_control' })
  }
  withdrawRequest(): void {
    this.#ask({ type: 'withdraw_request' })
  }
  /** Gives control to the participant with this id, and to it alone. */
  giveControl(to: string): void {
    this.#ask({ type: 'give_control', to })
  }
  /** Takes control, for this session alone. */
  takeControl(): void {
    this.#ask({ type: 'take_control' })
  }
  /** Gives control back: all sessions whose role is control have it then. */
  releaseControl(): void {
    this.#ask({ type: 'release_control' })
  }

  /** Whether this session may invite: the creator of its console decides, and the proxy enforces it. */
  get mayInvite(): boolean {
    return this.#presence?.may_invite === true
  }
  /** The invitations to this session, the newest first, without their links. Show labels as text, never as markup. */
  get invitations(): readonly PresenceInvitation[] {
    return this.#presence?.invitations?.list ?? []
  }

  /**
   * Invites somebody to this session with a link that opens the console once. The link is a credential, which is returned only
   * here. A `presence` event follows.
   * @throws Error with a sentence for the user, if the session may not invite, or there are too many invitations
   */
  async invite({ role, ttlSeconds, label }: InviteOptions): Promise<CreatedInvitation> {
    const optional = { ...(ttlSeconds === undefined ? {} : { ttl_seconds: ttlSeconds }), ...(label ? { label } : {}) }
    const { invitedBy } = await loadPart(() => import('./presence/invitations.ts'))
    const answer = await this.#askInvitations({ type: 'invite', role, ...optional })
    return invitedBy(answer)
  }

  /**
   * Revokes an invitation, and ends the session of the guest who came with it.
   * @throws Error with a sentence for the user
   */
  async revokeInvitation(id: string): Promise<void> {
    await this.#askInvitations({ type: 'revoke_invitation', id })
  }

  /** Called when the presence has changed, before the event. */
  protected abstract presenceChanged(): void

  /** Called when the proxy did not answer a probe, see {@link SharedElement.probe}. */
  protected abstract linkFellSilent(): void

  /** Dials the presence beside the console at `to`, which the proxy must have accepted. */
  protected openPresence(to: ConsoleAddress): void {
    this.#presencePending = true
    this.#link = new PresenceLink(to, {
      state: (state) => this.#showPresence(state),
      refused: (text) => this.emit('presencerefused', { text: plainLine(text) }),
      silent: () => this.linkFellSilent(),
    })
  }

  /** Opens a presence WebSocket only to notice that the link is lost, and how long it takes. */
  protected watchLink(to: ConsoleAddress): void {
    this.#link = new PresenceLink(to, {
      state: (state) => this.#showLatency(state),
      refused: () => {},
      silent: () => this.linkFellSilent(),
    })
  }

  /** Finds out whether the link to the proxy still works. */
  protected probe(): void {
    this.#link?.probe()
  }

  protected emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }))
  }

  #showPresence(state: PresenceState | undefined): void {
    const before = this.#presence
    this.#presencePending = false
    this.#presence = state
    this.#role = state?.participants.find(({ id }) => id === state.you)?.role ?? this.#role
    this.presenceChanged()
    this.emit('presence', { state: state ?? null })
    this.#emitViewersSince(before)
    this.#showLatency(state)
  }

  protected closePresence(): void {
    const before = this.#presence
    this.#link?.close()
    this.#link = undefined
    this.#presence = undefined
    this.#presencePending = false
    this.#latencyMs = undefined
    this.#role = undefined
    if (before !== undefined) this.emit('presence', { state: null })
    this.#emitViewersSince(before)
  }

  #emitViewersSince(before: PresenceState | undefined): void {
    const viewers = viewersOf(this.#presence)
    if (JSON.stringify(viewers) !== JSON.stringify(viewersOf(before))) this.emit('viewers', viewers)
  }

  #showLatency(state: PresenceState | undefined): void {
    const ms = state?.latency_ms
    if (typeof ms !== 'number' || ms === this.#latencyMs) return
    this.#latencyMs = ms
    this.emit('latency', { ms })
  }

  #ask(request: PresenceRequest): void {
    this.#link?.send(request)
  }

  async #askInvitations(request: InvitationRequest): Promise<InvitationAnswer> {
    if (this.#link === undefined) throw new Error(t('error.not-connected-yet'))
    return this.#link.ask(request)
  }
}

const viewersOf = (state: PresenceState | undefined): Viewers => ({
  viewers: state?.participants ?? [],
  you: state?.you,
})
