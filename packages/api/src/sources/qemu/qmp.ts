/** A client of the QEMU Machine Protocol (docs/interop/qmp-spec), for a QEMU that a guest may have taken over. */
import { connect, type Socket } from 'node:net'
import { guardPeer } from '@oriel/runtime'
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import { JsonStream } from './json-stream.ts'

export interface QmpLimits {
  /** The deadline for connecting, for the greeting, and for each reply. */
  readonly timeoutMs: number
}

/** Thrown when QEMU refuses a command. `kind` is QEMU's class of the error. */
export class QmpRefusal extends Error {
  override readonly name = 'QmpRefusal'
  readonly kind: string

  constructor(command: string, kind: string, description: string) {
    super(`${command}: ${description}`)
    this.kind = kind
  }
}

/** Thrown when a reply misses its deadline. The connection stays open, since QEMU may reply later. */
export class QmpSilence extends Error {
  override readonly name = 'QmpSilence'
}

/** Longer messages close the connection: the replies that Oriel requests have a few kilobytes. */
export const MAX_MESSAGE_CHARACTERS = 1024 * 1024
/** QEMU's replies nest three or four levels. */
const MAX_MESSAGE_DEPTH = 64
/** The length at which QEMU's description of an error is cut. */
const MAX_DESCRIPTION_CHARACTERS = 1000
/** The largest number of pending commands. */
const MAX_OWED = 32

interface Owed {
  readonly command: string
  readonly resolve: (value: unknown) => void
  readonly reject: (cause: Error) => void
}

export class QmpConnection implements Disposable {
  readonly #socket: Socket
  readonly #timeoutMs: number
  readonly #owed = new Map<number, Owed>()
  /** Pending commands whose deadline has passed. Until QEMU replies to them, it gets no further commands. */
  readonly #late = new Set<number>()
  readonly #greeted = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<Error | undefined>()
  #onEvent: (event: string) => void
  readonly #messages = new JsonStream({ maxCharacters: MAX_MESSAGE_CHARACTERS, maxDepth: MAX_MESSAGE_DEPTH })
  #lastId = 0
  #end: Error | undefined
  #isClosedByQemu = false

  private constructor(socket: Socket, { timeoutMs }: QmpLimits, onEvent: (event: string) => void) {
    this.#socket = socket
    this.#timeoutMs = timeoutMs
    this.#onEvent = onEvent
    this.#greeted.promise.catch(() => {})
    socket.setEncoding('utf8')
    const read = guardPeer(
      (text: string) => this.#read(text),
      (cause) => this.#finish(new Error(`QEMU sent a malformed message: ${cause.message}`, { cause })),
    )
    socket.on('data', read)
    socket.on('error', (cause) => this.#finish(cause, true))
    socket.on('close', () => this.#finish(new Error('QEMU closed its monitor'), true))
  }

  /**
   * Connects, waits for the greeting and negotiates, without enabling any capability.
   * @param onEvent called with the name of each event
   * @throws Error with the system's `code` when the socket refuses the connection, QmpSilence when QEMU does not respond
   */
  static async open(path: string, limits: QmpLimits, onEvent: (event: string) => void): Promise<QmpConnection> {
    const connection = new QmpConnection(connect({ path }), limits, onEvent)
    try {
      await connection.#within(connection.#greeted.promise, 'greeting')
      await connection.execute('qmp_capabilities')
      return connection
    } catch (cause) {
      connection[Symbol.dispose]()
      throw cause
    }
  }

  /** Resolves to the reason when the connection ends. */
  get ended(): Promise<Error | undefined> {
    return this.#ended.promise
  }

  /** Whether QEMU ended the connection. */
  get isClosedByQemu(): boolean {
    return this.#isClosedByQemu
  }

  /**
   * Runs one command and resolves to its result.
   * @throws QmpRefusal, QmpSilence, or Error after the end of the connection
   */
  async execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (this.#end) throw this.#end
    if (this.#late.size > 0 || this.#owed.size >= MAX_OWED) throw new QmpSilence(`QEMU still owes an earlier answer`)
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#owed.set(id, { command, resolve, reject })
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`)
    try {
      return await this.#within(promise, command)
    } catch (cause) {
      if (this.#owed.has(id)) this.#late.add(id)
      throw cause
    }
  }

  [Symbol.dispose](): void {
    this.#finish(undefined)
  }

  async #within<T>(promise: Promise<T>, awaited: string): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const say = () => reject(new QmpSilence(`no answer to ${awaited} within ${this.#timeoutMs} ms`))
    const timer = setTimeout(say, this.#timeoutMs)
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }

  #read(text: string): void {
    for (const message of this.#messages.push(text)) this.#take(JSON.parse(message))
  }

  #take(message: Readonly<Record<string, unknown>>): void {
    if (Object.hasOwn(message, 'QMP')) this.#greeted.resolve()
    else if (typeof message.event === 'string') this.#onEvent(message.event)
    else if (typeof message.id === 'number') this.#answer(message.id, message)
  }

  #answer(id: number, message: Readonly<Record<string, unknown>>): void {
    const owed = this.#owed.get(id)
    this.#owed.delete(id)
    this.#late.delete(id)
    if (!owed) return
    if (Object.hasOwn(message, 'return')) owed.resolve(message.return)
    else owed.reject(refusal(owed.command, message.error))
  }

  #finish(reason: Error | undefined, isClosedByQemu = false): void {
    if (this.#end) return
    this.#isClosedByQemu = isClosedByQemu
    this.#end = reason ?? new Error('the connection was closed')
    this.#onEvent = () => {}
    this.#socket.destroy()
    this.#greeted.reject(this.#end)
    for (const { reject } of this.#owed.values()) reject(this.#end)
    this.#owed.clear()
    this.#ended.resolve(reason)
  }
}

const errorSchema = Compile(Type.Object({ class: Type.String(), desc: Type.String() }))

function refusal(command: string, error: unknown): QmpRefusal {
  if (!errorSchema.Check(error)) return new QmpRefusal(command, 'GenericError', 'QEMU gave a malformed error')
  return new QmpRefusal(command, error.class, error.desc.slice(0, MAX_DESCRIPTION_CHARACTERS))
}
