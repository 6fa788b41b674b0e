/**
 * The consoles that the sessions of all workers share. The primary has them, because sessions of one console, and a page and
 * its session, may be in different workers.
 */
import {
  type CloseReasonName,
  closeReasons,
  consoleRoles,
  presenceConsoleRequest,
  presenceState,
} from '@oriel/contract'
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Arbiter, ConsoleElsewhere, ElsewhereListener } from '../presence/elsewhere.ts'
import type { LocalConsoles } from '../presence/local-consoles.ts'
import type {
  AttachedPage,
  ConsoleAddress,
  InputSwitch,
  Participant,
  PresencePage,
  Seat,
  SharedConsoleName,
  SharedConsoles,
} from '../presence/shared-consoles.ts'
import type { Calls } from './calls.ts'
import type { PrimaryAnswers, WorkerAnswers } from './contract.ts'

type FromPrimary = Pick<WorkerAnswers, 'setInput' | 'leaveSession' | 'showPresence' | 'endPage' | 'askForControl'>
type FromWorker = Pick<
  PrimaryAnswers,
  | 'joinConsole'
  | 'leaveConsole'
  | 'moveConsole'
  | 'attachPage'
  | 'detachPage'
  | 'requestOfPage'
  | 'learnElsewhere'
  | 'showElsewhere'
>

const addressSchema = { host: Type.String(), port: Type.Integer() }
const nameSchema = Type.Object({ instance: Type.String(), type: Type.String(), ...addressSchema })
const moveCheck = Compile(Type.Object({ from: nameSchema, to: Type.Object(addressSchema) }))
const participantSchema = Type.Object({
  id: Type.String(),
  role: Type.Enum([...consoleRoles]),
  label: Type.Optional(Type.String()),
  invited: Type.Optional(Type.Boolean()),
  sinceMs: Type.Number(),
  endsAtMs: Type.Optional(Type.Number()),
})
const joinCheck = Compile(Type.Object({ console: nameSchema, participant: participantSchema }))
const idSchema = Type.Union([Type.String(), Type.Null()])
const elsewhereSchema = Type.Object({
  ...{ instance: Type.String(), type: Type.String(), revision: Type.Integer() },
  participants: Type.Array(participantSchema),
  ...{ heldBy: idSchema, ready: Type.Boolean(), requestedBy: Type.Array(Type.String()) },
})
const elsewhereCheck = Compile(elsewhereSchema)
const allElsewhereCheck = Compile(Type.Union([Type.Array(elsewhereSchema), Type.Null()]))
const stepCheck = Compile(
  Type.Union([Type.Object({ from: idSchema, to: idSchema }), Type.Object({ requests: Type.Boolean() })]),
)
const requestCheck = Compile(presenceConsoleRequest)
const viewCheck = Compile(Type.Omit(presenceState, ['latency_ms', 'may_invite', 'invitations']))

const isCloseReason = (name: unknown): name is CloseReasonName =>
  typeof name === 'string' && Object.hasOwn(closeReasons, name)

/** The shared consoles of a worker, which calls the primary. */
export class RemoteConsoles implements SharedConsoles, ElsewhereListener {
  readonly answers: FromPrimary
  readonly #calls: () => Pick<Calls<PrimaryAnswers>, 'ask' | 'askFor'>
  readonly #inputs = new Map<string, InputSwitch>()
  readonly #pages = new Map<number, PresencePage>()
  #lastPage = 0

  /**
   * @param calls the channel to the primary; it must be open when the first session joins
   * @param endSession ends a session whose page requests that
   * @param arbiter decides between this proxy and others. Absent: there are no others
   */
  constructor(
    calls: () => Pick<Calls<PrimaryAnswers>, 'ask' | 'askFor'>,
    endSession: (id: string) => void,
    arbiter: () => Arbiter | undefined = () => undefined,
  ) {
    this.#calls = calls
    this.answers = {
      setInput: (id, mayInput) => this.#setInput(id, mayInput === true),
      leaveSession: endSession,
      showPresence: (page, view) => {
        if (viewCheck.Check(view)) this.#pages.get(page)?.show(view)
      },
      endPage: (page, reason) => this.#pages.get(page)?.end(isCloseReason(reason) ? reason : 'proxy_error'),
      askForControl: async (id, step) => {
        if (!stepCheck.Check(step)) throw new Error('the request for control is malformed')
        return (await arbiter()?.ask(id, step)) ?? null
      },
    }
  }

  async learn(console: ConsoleElsewhere): Promise<void> {
    await this.#calls().ask('learnElsewhere', console)
  }

  async show(consoles: readonly ConsoleElsewhere[] | undefined): Promise<void> {
    await this.#calls().ask('showElsewhere', consoles ?? null)
  }

  /** The primary sets the input before it answers: setting it from the answer could undo a later change. */
  async join(console: SharedConsoleName, participant: Participant, input: InputSwitch): Promise<Seat> {
    const { id } = participant
    const leave = (reason: CloseReasonName) => {
      if (this.#inputs.get(id) !== input) return
      this.#inputs.delete(id)
      this.#notify('leaveConsole', id, reason)
    }
    this.#inputs.set(id, input)
    try {
      await this.#calls().askFor(
        () => this.#notify('leaveConsole', id, 'client_lost'),
        'joinConsole',
        console,
        participant,
      )
    } catch (error) {
      this.#inputs.delete(id)
      throw error
    }
    return { leave, [Symbol.dispose]: () => leave('client_closed') }
  }

  move(from: SharedConsoleName, to: ConsoleAddress): void {
    this.#notify('moveConsole', from, to)
  }

  async attach(sessionId: string, page: PresencePage): Promise<AttachedPage | undefined> {
    this.#lastPage += 1
    const number = this.#lastPage
    const detach = () => {
      if (this.#pages.delete(number)) this.#notify('detachPage', number)
    }
    this.#pages.set(number, page)
    using attaching = new DisposableStack()
    attaching.defer(detach)
    if (!(await this.#calls().ask('attachPage', number, sessionId))) return undefined
    attaching.move()
    return {
      request: async (request) => textOf(await this.#calls().ask('requestOfPage', number, request)),
      [Symbol.dispose]: detach,
    }
  }

  #setInput(id: string, mayInput: boolean): void {
    const input = this.#inputs.get(id)
    if (input) input.mayInput = mayInput
  }

  #notify<K extends 'leaveConsole' | 'moveConsole' | 'detachPage'>(
    name: K,
    ...args: Parameters<PrimaryAnswers[K]>
  ): void {
    this.#calls()
      .ask(name, ...args)
      .catch(() => {})
  }
}

const textOf = (objection: unknown) => (typeof objection === 'string' ? objection : undefined)

/**
 * The changes of inputs that workers have not confirmed yet, in all of them. A page learns of a change only after every worker
 * applies it: otherwise another worker could still pass on input of the session that has lost control.
 */
export class InputChanges {
  readonly #pending = new Set<Promise<unknown>>()

  add(change: Promise<unknown>): void {
    const settled = change.catch(() => {})
    this.#pending.add(settled)
    settled.finally(() => this.#pending.delete(settled))
  }

  /** Calls `then` once the changes that are pending now are confirmed, or their deadline has passed; at once if none is. */
  whenApplied(then: () => void): void {
    if (this.#pending.size === 0) then()
    else void Promise.all(this.#pending).then(then)
  }
}

/** The primary's answers to one worker. Disposal removes the worker's sessions and pages. */
export class ConsolesOfWorker implements Disposable {
  readonly answers: FromWorker
  readonly #consoles: LocalConsoles
  readonly #calls: () => Pick<Calls<WorkerAnswers>, 'ask'>
  readonly #changes: InputChanges
  readonly #watching: Set<object>
  readonly #seats = new Map<string, Seat>()
  readonly #pages = new Map<number, AttachedPage>()

  /**
   * @param consoles those of all workers
   * @param changes those of all workers
   * @param watching the workers to which the authority answers about other proxies; one set for all
   */
  constructor(
    consoles: LocalConsoles,
    calls: () => Pick<Calls<WorkerAnswers>, 'ask'>,
    { changes, watching }: { readonly changes: InputChanges; readonly watching: Set<object> },
  ) {
    this.#consoles = consoles
    this.#calls = calls
    this.#changes = changes
    this.#watching = watching
    this.answers = {
      joinConsole: (console, participant) => this.#join(console, participant),
      moveConsole: (from, to) => this.#move(from, to),
      leaveConsole: (id, reason) => this.#leave(id, isCloseReason(reason) ? reason : 'proxy_error'),
      attachPage: (page, sessionId) => this.#attach(page, sessionId),
      detachPage: (page) => this.#detach(page),
      requestOfPage: (page, request) => this.#request(page, request),
      learnElsewhere: (console) => this.#learn(console),
      showElsewhere: (consoles) => this.#show(consoles),
    }
  }

  async #learn(console: ConsoleElsewhere): Promise<void> {
    if (!elsewhereCheck.Check(console)) throw new Error('the console at other proxies is malformed')
    this.#consoles.learn(console)
    await this.#applied()
  }

  /**
   * Ignores a worker that the authority does not answer while it answers another one. An empty list is an answer as well: no console
   * is shared any more, so that the worker stops asking.
   */
  async #show(consoles: readonly ConsoleElsewhere[] | null): Promise<void> {
    if (!allElsewhereCheck.Check(consoles)) throw new Error('the consoles at other proxies are malformed')
    if (consoles) this.#watching.add(this)
    else this.#watching.delete(this)
    if (consoles || this.#watching.size === 0) this.#consoles.show(consoles ?? undefined)
    if (consoles?.length === 0) this.#watching.delete(this)
    await this.#applied()
  }

  /** Resolves once all workers have switched their inputs. */
  #applied(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#changes.whenApplied(resolve)
    return promise
  }

  /** Asks the authority by way of the worker that has the session. */
  readonly #arbiter: Arbiter = {
    ask: async (sessionId, step) => {
      const console = await this.#calls().ask('askForControl', sessionId, step)
      return elsewhereCheck.Check(console) ? console : undefined
    },
  }

  #join(console: SharedConsoleName, participant: Participant): void {
    if (!joinCheck.Check({ console, participant })) throw new Error('the console or the participant is malformed')
    if (this.#seats.has(participant.id)) throw new Error(`the session ${participant.id} has joined already`)
    this.#seats.set(
      participant.id,
      this.#consoles.join(
        console,
        participant,
        new RemoteInput((mayInput) => this.#setInput(participant.id, mayInput)),
        this.#arbiter,
      ),
    )
  }

  #move(from: SharedConsoleName, to: ConsoleAddress): void {
    if (!moveCheck.Check({ from, to })) throw new Error('the console or its new address is malformed')
    this.#consoles.move(from, to)
  }

  #leave(id: string, reason: CloseReasonName): void {
    this.#seats.get(id)?.leave(reason)
    this.#seats.delete(id)
  }

  #attach(page: number, sessionId: string): boolean {
    const attached = this.#consoles.attach(sessionId, {
      show: (view) => this.#changes.whenApplied(() => this.#notify('showPresence', page, view)),
      end: (reason) => this.#notify('endPage', page, reason),
    })
    if (!attached) return false
    this.#pages.set(page, attached)
    return true
  }

  #detach(page: number): void {
    this.#pages.get(page)?.[Symbol.dispose]()
    this.#pages.delete(page)
  }

  #setInput(id: string, mayInput: boolean): void {
    this.#changes.add(this.#calls().ask('setInput', id, mayInput))
  }

  #notify<K extends 'showPresence' | 'endPage'>(name: K, ...args: Parameters<FromPrimary[K]>): void {
    this.#calls()
      .ask(name, ...args)
      .catch(() => {})
  }

  async #request(page: number, request: unknown): Promise<string | null> {
    if (!requestCheck.Check(request)) throw new Error('the request of a page is malformed')
    return (await this.#pages.get(page)?.request(request)) ?? null
  }

  [Symbol.dispose](): void {
    // The other workers ask the authority with their next heartbeats.
    if (this.#watching.delete(this) && this.#watching.size === 0) this.#consoles.show(undefined)
    for (const page of this.#pages.values()) page[Symbol.dispose]()
    for (const id of [...this.#seats.keys()]) this.#leave(id, 'proxy_error')
  }
}

/** Switches the input of a session in the worker. Its first value is unknown, so that the first change is sent. */
class RemoteInput implements InputSwitch {
  readonly #send: (mayInput: boolean) => void
  #mayInput: boolean | undefined

  constructor(send: (mayInput: boolean) => void) {
    this.#send = send
  }

  get mayInput(): boolean {
    return this.#mayInput as boolean
  }

  set mayInput(mayInput: boolean) {
    this.#mayInput = mayInput
    this.#send(mayInput)
  }
}
