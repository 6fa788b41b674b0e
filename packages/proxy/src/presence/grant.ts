/**
 * Decides which sessions of a console may send input. By default, all whose role is `control`. Once control was taken or
 * given, one session alone has it, until it releases control or leaves.
 */
import type { ConsoleRole, PresenceConsoleRequest } from '@oriel/contract'

/** A session of the console. */
export interface Member {
  readonly id: string
  readonly role: ConsoleRole
  /** Whether somebody else's session invited it. A session with a token of its own moderates. */
  readonly invited?: boolean
}

export type ControlRequest = Exclude<PresenceConsoleRequest, { readonly type: 'leave' }>

/** Control moved from one session to another. `null`: all whose role is `control`. */
export interface ControlChange {
  /** `elsewhere`: at another proxy. */
  readonly how: 'given' | 'taken' | 'released' | 'left' | 'elsewhere'
  /** The session that caused the change, if it is known. */
  readonly by: string | null
  readonly from: string | null
  readonly to: string | null
}

/** A sentence for the user, if the request was refused; the change, if there was one. */
export type Outcome = { readonly objection: string } | { readonly change?: ControlChange }

/** The change that a request asks for. `to` is `undefined` for all whose role is `control`. */
export type Step<M> =
  | { readonly how: 'given' | 'taken' | 'released'; readonly to: M | undefined }
  | { readonly requests: boolean }
  | { readonly nothing: true }

/** Ids of the sessions that have and request control, as the authority decided. */
export interface ControlDecision {
  readonly heldBy: string | null
  /** Whether it may send input already. */
  readonly ready: boolean
  /** The earliest first. */
  readonly requestedBy: readonly string[]
}

export class ControlGrant<M extends Member> {
  #members: readonly M[] = []
  /** May be a session that is no member yet. */
  #heldBy: string | undefined
  #isReady = true
  /** Created at the first request. */
  #requests: M[] | undefined

  /** The sessions, the oldest first. */
  get members(): readonly M[] {
    return this.#members
  }

  /** The session that alone has control, or `null`. */
  get heldBy(): string | null {
    return this.#heldBy ?? null
  }

  /** The member that alone has control. */
  get holder(): M | undefined {
    return this.#heldBy === undefined ? undefined : this.#members.find(({ id }) => id === this.#heldBy)
  }

  /** The sessions that request control, the earliest first. */
  get requests(): readonly M[] {
    return this.#requests ?? []
  }

  hasControl(member: M): boolean {
    return this.#heldBy === undefined ? member.role === 'control' : this.#isReady && member.id === this.#heldBy
  }

  /** Whether `member` may take control from the one who has it. An invited session must leave it to a moderator. */
  mayTake(member: M): boolean {
    if (member.role !== 'control' || member.id === this.#heldBy) return false
    if (!member.invited || this.#heldBy === undefined) return true
    const { holder } = this
    return holder !== undefined && !moderates(holder)
  }

  join(member: M): void {
    // `push` and a spread reserve room for sixteen more, and most consoles have one session.
    this.#members = this.#members.concat([member])
  }

  /** Adds the sessions of another grant. Keeps the session that has control here, or else the one there. */
  protected merge(other: ControlGrant<M>): void {
    this.#members = this.#members.concat(other.#members)
    if (this.#heldBy === undefined) {
      this.#heldBy = other.#heldBy
      this.#isReady = other.#isReady
    }
    if (other.#requests) this.#requests = this.requests.concat(other.#requests)
  }

  /** Removes a session. A watcher loses control with the last session that could take it back. */
  leave(member: M): ControlChange | undefined {
    this.#members = this.#members.filter((other) => other !== member)
    this.#forgetRequest(member)
    return member.id === this.#heldBy || this.isAbandoned ? this.#move('left', member, undefined) : undefined
  }

  /** Whether a watcher has control, and no session is there that could take it back. */
  protected get isAbandoned(): boolean {
    return this.holder?.role === 'watch' && !this.#members.some(({ role }) => role === 'control')
  }

  /** Replaces members that are not of this proxy. */
  protected replace(isReplaced: (member: M) => boolean, by: readonly M[]): void {
    this.#members = this.#members.filter((member) => !isReplaced(member)).concat(by)
  }

  /** Applies a decision of the authority. Returns the change, if control moved. */
  decide({ heldBy, ready, requestedBy }: ControlDecision): ControlChange | undefined {
    const from = this.heldBy
    this.#heldBy = heldBy ?? undefined
    this.#isReady = ready
    const requests = requestedBy.flatMap((each) => this.#members.filter(({ id }) => id === each))
    this.#requests = requests.length > 0 ? requests : undefined
    return from === heldBy ? undefined : { how: 'elsewhere', by: null, from, to: heldBy }
  }

  act(member: M, request: ControlRequest): Outcome {
    const step = this.plan(member, request)
    return 'objection' in step ? step : this.carryOut(member, step)
  }

  /** Returns the change that a request asks for, and does not carry it out. */
  plan(member: M, request: ControlRequest): Step<M> | { readonly objection: string } {
    switch (request.type) {
      case 'request_control':
        return this.hasControl(member) ? { objection: 'You have control already.' } : { requests: true }
      case 'withdraw_request':
        return { requests: false }
      case 'give_control':
        return this.#give(member, request.to)
      case 'take_control':
        return this.#take(member)
      case 'release_control':
        return this.#release(member)
    }
  }

  carryOut(member: M, step: Step<M>): { readonly change?: ControlChange } {
    if ('how' in step) return { change: this.#move(step.how, member, step.to) }
    if ('requests' in step && step.requests) this.#request(member)
    if ('requests' in step && !step.requests) this.#forgetRequest(member)
    return {}
  }

  #request(member: M): void {
    this.#requests ??= []
    if (!this.#requests.includes(member)) this.#requests.push(member)
  }

  #give(member: M, to: string): Step<M> | { readonly objection: string } {
    if (!this.hasControl(member)) return { objection: 'You do not have control, so you cannot give it. Request it.' }
    const next = this.#members.find(({ id }) => id === to)
    if (!next) return { objection: 'This participant has left.' }
    if (next === member) return { objection: 'You have control already.' }
    return { how: 'given', to: next }
  }

  #take(member: M): Step<M> | { readonly objection: string } {
    if (member.id === this.#heldBy) return { nothing: true }
    if (this.mayTake(member)) return { how: 'taken', to: member }
    if (member.role === 'watch') return { objection: 'You watch this console, so you cannot take control. Request it.' }
    return { objection: 'You were invited, so you cannot take control from this participant. Request it.' }
  }

  #release(member: M): Step<M> | { readonly objection: string } {
    if (member.id !== this.#heldBy) return { objection: 'You do not have control alone, so you cannot give it back.' }
    return { how: 'released', to: undefined }
  }

  #move(how: ControlChange['how'], by: M, to: M | undefined): ControlChange {
    const from = this.heldBy
    this.#heldBy = to?.id
    this.#isReady = true
    for (const member of this.#members) if (this.hasControl(member)) this.#forgetRequest(member)
    return { how, by: by.id, from, to: to?.id ?? null }
  }

  #forgetRequest(member: M): void {
    if (this.#requests) remove(this.#requests, member)
  }
}

const moderates = ({ role, invited }: Member) => role === 'control' && !invited

function remove<T>(list: T[], item: T): void {
  const at = list.indexOf(item)
  if (at >= 0) list.splice(at, 1)
}
