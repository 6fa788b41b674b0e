/**
 * Calls between the primary and a worker, over the channel of node:cluster. Either process may be faulty or compromised, so
 * each message is checked before use, and a malformed one never makes the other process throw.
 */
import { deadline, within } from '@oriel/runtime'
import { type BirpcReturn, createBirpc } from 'birpc'
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'

/** The calls that one side answers, by name. */
export type Answers = Readonly<Record<string, (...args: never[]) => unknown>>

/** Thrown when the other process has exited or did not answer in time. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

/** The result of a call to the other side. */
type AnswerTo<Theirs extends Answers, K extends keyof Theirs> = Awaited<ReturnType<Theirs[K]>>

// The messages of birpc, which does not check them: a malformed one would cause an unhandled rejection.
const callSchema = Type.Object({
  t: Type.Literal('q'),
  i: Type.String(),
  m: Type.String(),
  a: Type.Array(Type.Unknown()),
})
const answerSchema = Type.Object({
  t: Type.Literal('s'),
  i: Type.String(),
  r: Type.Optional(Type.Unknown()),
  e: Type.Optional(Type.String()),
})
const messageCheck = Compile(Type.Union([callSchema, answerSchema]))

/** Deadline for an answer. It can be short, because every answer comes from memory. */
const DEADLINE_MS = 2_000
/** How long an answer that missed its deadline is still received, see `askFor`. */
const LATE_MS = 3_600_000

/** One end of the channel. `Theirs` are the calls that the other end answers. Arguments and results must be JSON values. */
export class Calls<Theirs extends Answers> {
  readonly #rpc: BirpcReturn<Answers, Answers, false>
  #listener!: (message: unknown) => unknown

  /** @param send puts a message on the channel; it may throw when the channel is closed */
  constructor(send: (message: object) => void, mine: Answers) {
    this.#rpc = createBirpc(mine, {
      on: (listener) => {
        this.#listener = listener
      },
      // Ignores send errors: on a closed channel, `close` or the deadline rejects the pending call.
      post: (message) => {
        try {
          send(message)
        } catch {}
      },
      serialize: (message) => ('e' in message ? { ...message, e: textOf(message.e) } : message),
      deserialize: (message) => ('e' in message ? { ...message, e: new Error(message.e) } : message),
      resolver: (name) => (Object.hasOwn(mine, name) ? mine[name] : undefined),
      timeout: LATE_MS,
      proxify: false,
    })
  }

  /** Sends a call and waits for its answer. @throws NoAnswer, or an Error with the other side's message */
  ask<K extends keyof Theirs & string>(name: K, ...args: Parameters<Theirs[K]>): Promise<AnswerTo<Theirs, K>> {
    return this.askFor(() => {}, name, ...args)
  }

  /**
   * Sends a call that reserves something at the other side.
   * @param late receives the answer if it arrives after the deadline, to release the reservation
   * @throws NoAnswer, or an Error with the other side's message
   */
  async askFor<K extends keyof Theirs & string>(
    late: (value: AnswerTo<Theirs, K>) => void,
    name: K,
    ...args: Parameters<Theirs[K]>
  ): Promise<AnswerTo<Theirs, K>> {
    const answer = this.#rpc.$call(name, ...args) as Promise<AnswerTo<Theirs, K>>
    using limit = deadline(DEADLINE_MS)
    try {
      return await within(limit.signal, answer)
    } catch (error) {
      if (!limit.passed) throw error
      answer.then(late).catch(() => {})
      throw new NoAnswer(`no answer to ${name}`)
    }
  }

  /** Processes a message from the channel. Ignores messages of other formats. */
  take(message: unknown): void {
    if (messageCheck.Check(message)) void this.#listener(message)
  }

  /** Rejects all pending calls, because the other process has exited. */
  close(): void {
    this.#rpc.$rejectPendingCalls(({ reject }) => reject(new NoAnswer('the other process has exited')))
  }
}

const textOf = (error: unknown) => (error instanceof Error ? error.message : 'the call failed')
