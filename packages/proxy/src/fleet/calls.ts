/**
 * Calls between the primary and a worker, over the channel of node:cluster. Either process may be faulty or compromised, so
 * each message is checked before use, and a malformed one never makes the other process throw.
 */
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'

/** The calls that one side answers, by name. */
export type Answers = Readonly<Record<string, (...args: never[]) => unknown>>

/** Thrown when the other process has exited or did not answer in time. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** The result of a call to the other side. */
type AnswerTo<Theirs extends Answers, K extends keyof Theirs> = Awaited<ReturnType<Theirs[K]>>

const callSchema = Type.Object({ call: Type.Integer(), name: Type.String(), args: Type.Array(Type.Unknown()) })
const answerSchema = Type.Object({
  answer: Type.Integer(),
  value: Type.Optional(Type.Unknown()),
  fault: Type.Optional(Type.String()),
})
type Call = Type.Static<typeof callSchema>
type Answer = Type.Static<typeof answerSchema>
const [callCheck, answerCheck] = [Compile(callSchema), Compile(answerSchema)]

/** Deadline for an answer. It can be short, because every answer comes from memory. */
const DEADLINE_MS = 2_000

/** One end of the channel. `Theirs` are the calls that the other end answers. Arguments and results must be JSON values. */
export class Calls<Theirs extends Answers> {
  readonly #send: (message: object) => void
  readonly #mine: Answers
  readonly #waiting = new Map<number, Waiting>()
  /** Callbacks for answers that arrive after their deadline. */
  readonly #late = new Map<number, (value: never) => void>()
  #lastId = 0

  /** @param send puts a message on the channel; it may throw when the channel is closed */
  constructor(send: (message: object) => void, mine: Answers) {
    this.#send = send
    this.#mine = mine
  }

  /** Sends a call and waits for its answer. @throws NoAnswer, or an Error with the other side's message */
  ask<K extends keyof Theirs & string>(name: K, ...args: Parameters<Theirs[K]>): Promise<AnswerTo<Theirs, K>> {
    return this.#ask(name, args)
  }

  /**
   * Sends a call that reserves something at the other side.
   * @param late receives the answer if it arrives after the deadline, to release the reservation
   * @throws NoAnswer, or an Error with the other side's message
   */
  askFor<K extends keyof Theirs & string>(
    late: (value: AnswerTo<Theirs, K>) => void,
    name: K,
    ...args: Parameters<Theirs[K]>
  ): Promise<AnswerTo<Theirs, K>> {
    return this.#ask(name, args, late)
  }

  /** Processes a message from the channel. Ignores messages of other formats. */
  take(message: unknown): void {
    if (callCheck.Check(message)) void this.#answer(message)
    else if (answerCheck.Check(message)) this.#heard(message)
  }

  /** Rejects all pending calls, because the other process has exited. */
  close(): void {
    this.#late.clear()
    for (const id of this.#waiting.keys()) this.#settle(id)?.reject(new NoAnswer('the other process is gone'))
  }

  #ask<K extends keyof Theirs & string>(
    name: K,
    args: readonly unknown[],
    late?: (value: AnswerTo<Theirs, K>) => void,
  ): Promise<AnswerTo<Theirs, K>> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#lastId += 1
    const id = this.#lastId
    const timer = setTimeout(() => {
      if (late) this.#late.set(id, late)
      this.#settle(id)?.reject(new NoAnswer(`no answer to ${name}`))
    }, DEADLINE_MS)
    this.#waiting.set(id, { resolve, reject, timer })
    this.#post({ call: id, name, args: [...args] })
    return promise as Promise<AnswerTo<Theirs, K>>
  }

  async #answer({ call, name, args }: Call): Promise<void> {
    try {
      const answer = Object.hasOwn(this.#mine, name) ? this.#mine[name] : undefined
      if (!answer) throw new Error(`nothing is called ${name}`)
      this.#post({ answer: call, value: await answer(...(args as never[])) })
    } catch (error) {
      this.#post({ answer: call, fault: error instanceof Error ? error.message : 'it failed' })
    }
  }

  #heard({ answer, value, fault }: Answer): void {
    const waiting = this.#settle(answer)
    const late = this.#late.get(answer)
    this.#late.delete(answer)
    if (fault === undefined) (waiting?.resolve ?? late)?.(value as never)
    else waiting?.reject(new Error(fault))
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    clearTimeout(waiting?.timer)
    return waiting
  }

  /** Ignores send errors: on a closed channel, `close` or the deadline rejects the pending call. */
  #post(message: Call | Answer): void {
    try {
      this.#send(message)
    } catch {}
  }
}
