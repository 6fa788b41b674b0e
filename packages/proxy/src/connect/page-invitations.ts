/** Carries out a page's requests about invitations to its session, and keeps their list for its state. */
import { type PresenceInvitationRequest, type PresenceMessage, type PresenceState, refusals } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import { type InvitationList, InvitationObjection, type SessionInvitations } from '../presence/invitations.ts'
import type { PresenceView } from '../presence/shared-consoles.ts'
import { Refused } from '../refused.ts'

type Invite = Extract<PresenceInvitationRequest, { readonly type: 'invite' }>
type Revoke = Extract<PresenceInvitationRequest, { readonly type: 'revoke_invitation' }>

export interface PageInvitationsOptions {
  readonly invitations: SessionInvitations
  /** The session's id, for the log. */
  readonly session: string
  readonly log: Logger
}

export class PageInvitations {
  readonly #options: PageInvitationsOptions
  /** Called when the list has changed. */
  onChange = () => {}
  #list: InvitationList | undefined
  #people = ''
  /** The requests of the page, one after the other, so that it cannot exceed the limit by concurrent ones. */
  #queue: Promise<unknown> = Promise.resolve()
  #isLoading = false
  #isStale = false

  constructor(options: PageInvitationsOptions) {
    this.#options = options
  }

  /** The members of the page's state. */
  get state(): Pick<PresenceState, 'may_invite' | 'invitations'> {
    return { may_invite: true, ...(this.#list && { invitations: this.#list }) }
  }

  /** Lists the invitations again if the people have changed: one of them may have used an invitation. */
  seen({ participants }: Pick<PresenceView, 'participants'>): void {
    const people = participants.map(({ id }) => id).join()
    if (people === this.#people) return
    this.#people = people
    this.#refresh()
  }

  /** Carries out a request after the earlier ones. @throws an unexpected error; an objection or an unavailable authority is an answer */
  answer(request: PresenceInvitationRequest): Promise<PresenceMessage> {
    const answering = this.#queue.then(() => this.#answer(request))
    this.#queue = answering.catch(() => {})
    return answering
  }

  async #answer(request: PresenceInvitationRequest): Promise<PresenceMessage> {
    try {
      return request.type === 'invite' ? await this.#invite(request) : await this.#revoke(request)
    } catch (error) {
      return { type: 'refused', request: request.type, ...refOf(request), text: this.#textOf(error) }
    } finally {
      this.#refresh()
    }
  }

  async #invite(request: Invite): Promise<PresenceMessage> {
    const { role, label, ttl_seconds: ttlSeconds } = request
    const { invitation, url } = await this.#options.invitations.invite({ role, label, ttlSeconds })
    return { type: 'invited', ...refOf(request), invitation, url }
  }

  async #revoke(request: Revoke): Promise<PresenceMessage> {
    await this.#options.invitations.revoke(request.id)
    return { type: 'invitation_revoked', ...refOf(request), id: request.id }
  }

  /** Returns the sentence for the page. */
  #textOf(error: unknown): string {
    if (error instanceof InvitationObjection) return error.message
    if (!(error instanceof Refused)) throw error
    const { session, log } = this.#options
    log.warn({ session, refusal: error.refusal, detail: error.message }, 'an invitation failed')
    return refusals[error.refusal].text
  }

  /** Loads the list. During a load, one more follows. */
  #refresh(): void {
    this.#isStale = true
    if (!this.#isLoading) void this.#load()
  }

  async #load(): Promise<void> {
    this.#isLoading = true
    while (this.#isStale) {
      this.#isStale = false
      await this.#loadOnce()
    }
    this.#isLoading = false
  }

  /** Keeps the last list while the authority does not answer. */
  async #loadOnce(): Promise<void> {
    try {
      this.#list = await this.#options.invitations.list()
      this.onChange()
    } catch (err) {
      this.#options.log.debug({ session: this.#options.session, err }, 'the invitations of a session were not listed')
    }
  }
}

const refOf = ({ ref }: { readonly ref?: string }) => (ref === undefined ? {} : { ref })
