/** The requests of a page about invitations that wait for an answer. */
import type { PresenceInvitationRequest, PresenceInvited } from '@oriel/contract'
import { t } from '../language/texts/elements.ts'

/** How long a request waits for its answer. The proxy's own deadline is shorter. */
export const answerTimeoutMs = 30_000

type WithoutRef<R> = R extends unknown ? Omit<R, 'ref'> : never
export type InvitationRequest = WithoutRef<PresenceInvitationRequest>

/** An answer of the proxy. Its members are unchecked. */
export interface InvitationAnswer {
  readonly type?: unknown
  readonly ref?: unknown
  readonly request?: unknown
  readonly text?: unknown
}

interface Waiting {
  readonly resolve: (answer: InvitationAnswer) => void
  readonly reject: (error: Error) => void
  readonly deadline: ReturnType<typeof setTimeout>
}

export class InvitationRequests {
  readonly #waiting = new Map<string, Waiting>()
  #last = 0

  /**
   * Sends a request with a new `ref`.
   * @param send returns whether it could be sent
   * @throws Error with a sentence for the user
   */
  ask(request: InvitationRequest, send: (request: PresenceInvitationRequest) => boolean): Promise<InvitationAnswer> {
    this.#last += 1
    const ref = String(this.#last)
    const { promise, resolve, reject } = Promise.withResolvers<InvitationAnswer>()
    const deadline = setTimeout(() => this.#fail(ref, t('error.no-answer')), answerTimeoutMs)
    this.#waiting.set(ref, { resolve, reject, deadline })
    if (!send({ ...request, ref })) this.#fail(ref, t('error.not-connected-yet'))
    return promise
  }

  /** Passes an answer to the request with its `ref`. Returns `false` if no request waits for it. */
  answered(answer: InvitationAnswer, refusal: (text: unknown) => string): boolean {
    const { ref } = answer
    const waiting = typeof ref === 'string' ? this.#waiting.get(ref) : undefined
    if (!waiting) return false
    if (answer.type === 'refused') this.#fail(String(ref), refusal(answer.text))
    else {
      this.#forget(String(ref))
      waiting.resolve(answer)
    }
    return true
  }

  /** Fails all requests, because the connection that would bring their answers is lost. */
  lost(): void {
    for (const ref of [...this.#waiting.keys()]) this.#fail(ref, t('error.answer-lost'))
  }

  #fail(ref: string, text: string): void {
    this.#waiting.get(ref)?.reject(new Error(text))
    this.#forget(ref)
  }

  #forget(ref: string): void {
    clearTimeout(this.#waiting.get(ref)?.deadline)
    this.#waiting.delete(ref)
  }
}

/** The result of {@link invitedBy}. */
export interface CreatedInvitation {
  readonly id: string
  /** Opens the console once. Show it to its user alone. */
  readonly url: string
  /** How long the link may be opened. */
  readonly expiresAt: Date
}

/** Reads the answer to `invite`. @throws Error if it has no link of the web: the server may be another one */
export function invitedBy(answer: InvitationAnswer): CreatedInvitation {
  const { url, invitation } = answer as Partial<PresenceInvited>
  const isLink = typeof url === 'string' && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
  const expiresAt = new Date(String(invitation?.expires_at))
  if (!isLink || typeof invitation?.id !== 'string' || Number.isNaN(expiresAt.getTime()))
    throw new Error(t('error.no-link'))
  return { id: invitation.id, url, expiresAt }
}
