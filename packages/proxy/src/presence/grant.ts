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
  readonly how: 'given' | 'taken' | 'released' | 'left'
  /** The session that caused the change. */
  readonly by: string
  readonly from: string | null
  readonly to: string | null
}

/** A sentence for the user, if the request was refused; the change, if there was one. */
export type Outcome = { readonly objection: string } | { readonly change?: ControlChange }

export class ControlGrant<M extends Member> {
  #members: readonly M[] = []
  #holder: M | undefined
  /** Created at the first request. */
  #requests: M[] | undefined

  /** The sessions, the oldest first. */
  get members(): readonly M[] {
    return this.#members
  }

  /** The session that alone has control. */
  get holder(): M | undefined {
    return this.#holder
  }

  /** The sessions that request control, the earliest first. */
  get requests(): readonly M[] {
    return this.#requests ?? []
  }

  hasControl(member: M): boolean {
    return this.#holder ? this.#holder === member : member.role === 'control'
  }

  /** Whether `member` may take control from the one who has it. An invited session must leave it to a moderator. */
  mayTake(member: M): boolean {
    if (member.role !== 'control' || member === this.#holder) return false
    return !member.invited || !this.#holder || !moderates(this.#holder)
  }

  join(member: M): void {
    // `push` and a spread reserve room for sixteen more, and most consoles have one session.
    this.#members = this.#members.concat([member])
  }

  /** Adds the sessions of another grant. Keeps the session that has control here, or else the one there. */
  protected merge(other: ControlGrant<M>): void {
    this.#members = this.#members.concat(other.#members)
    this.#holder ??= other.#holder
    if (other.#requests) this.#requests = this.requests.concat(other.#requests)
  }

  /** Removes a session. A watcher loses control with the last session that could take it back. */
  leave(member: M): ControlChange | undefined {
    this.#members = this.#members.filter((other) => other !== member)
    this.#forgetRequest(member)
    const holder = this.#holder
    if (!holder) return undefined
    const isAlone = holder.role === 'watch' && !this.#members.some(({ role }) => role === 'control')
    return member === holder || isAlone ? this.#move('left', member, undefined) : undefined
  }

  act(member: M, request: ControlRequest): Outcome {
    switch (request.type) {
      case 'request_control':
        return this.#request(member)
      case 'withdraw_request':
        this.#forgetRequest(member)
        return {}
      case 'give_control':
        return this.#give(member, request.to)
      case 'take_control':
        return this.#take(member)
      case 'release_control':
        return this.#release(member)
    }
  }

  #request(member: M): Outcome {
    if (this.hasControl(member)) return { objection: 'You have control already.' }
    this.#requests ??= []
    if (!this.#requests.includes(member)) this.#requests.push(member)
    return {}
  }

  #give(member: M, to: string): Outcome {
    if (!this.hasControl(member)) return { objection: 'You do not have control, so you cannot give it. Request it.' }
    const next = this.#members.find(({ id }) => id === to)
    if (!next) return { objection: 'This participant has left.' }
    if (next === member) return { objection: 'You have control already.' }
    return { change: this.#move('given', member, next) }
  }

  #take(member: M): Outcome {
    if (member === this.#holder) return {}
    if (this.mayTake(member)) return { change: this.#move('taken', member, member) }
    if (member.role === 'watch') return { objection: 'You watch this console, so you cannot take control. Request it.' }
    return { objection: 'You were invited, so you cannot take control from this participant. Request it.' }
  }

  #release(member: M): Outcome {
    if (member !== this.#holder) return { objection: 'You do not have control alone, so you cannot give it back.' }
    return { change: this.#move('released', member, undefined) }
  }

  #move(how: ControlChange['how'], by: M, to: M | undefined): ControlChange {
    const from = this.#holder
    this.#holder = to
    for (const member of this.#members) if (this.hasControl(member)) this.#forgetRequest(member)
    return { how, by: by.id, from: from?.id ?? null, to: to?.id ?? null }
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
