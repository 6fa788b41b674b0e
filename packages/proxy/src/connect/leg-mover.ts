/** Follows the machine of a leg that sessions share. */
import { within } from '@oriel/runtime'
import type { ConsoleMover, ConsolePlace, OpenedShare } from '../consoles/console.ts'
import type { WebSocketConsoleType } from '../consoles/kinds.ts'
import type { ConnectContext } from './context.ts'
import { openUpstream } from './dial-leg.ts'
import type { Moves } from './moves.ts'

/** Follows consoles of one type for as long as sessions share their legs. */
export class LegMover implements ConsoleMover {
  readonly #context: ConnectContext
  readonly #moves: Moves
  readonly #type: WebSocketConsoleType

  constructor(context: ConnectContext, moves: Moves, type: WebSocketConsoleType) {
    this.#context = context
    this.#moves = moves
    this.#type = type
  }

  async find({ instance, host, port }: ConsolePlace, sessionId: string): Promise<ConsolePlace | 'off' | undefined> {
    const found = await this.#moves.find({ instance, type: this.#type, sessionId, host, port })
    return found && found !== 'off' ? { instance, ...found } : found
  }

  admits({ instance, ...found }: ConsolePlace, sessionId: string): Promise<boolean> {
    return this.#moves.mayFollow({ instance, type: this.#type, sessionId }, found)
  }

  /** Dials at once, since each moment there costs output, and reads only once the console is held. */
  async open(console: ConsolePlace, session: Promise<string>, signal: AbortSignal): Promise<OpenedShare> {
    try {
      return await this.#open(console, session, signal)
    } catch (cause) {
      if (!signal.aborted) this.#context.metrics.moved(this.#type, 'failed')
      throw cause
    }
  }

  async #open(console: ConsolePlace, session: Promise<string>, signal: AbortSignal): Promise<OpenedShare> {
    using opening = new DisposableStack()
    const log = this.#context.log.child({ instance: console.instance })
    const request = { type: this.#type, admission: console, query: new URLSearchParams(), log }
    const opened = await openUpstream(this.#context, request, signal)
    opening.use(opened.hypervisor)
    const hold = opening.use(await this.#hold(session, signal))
    opening.move()
    return { ...opened, hold }
  }

  async #hold(session: Promise<string>, signal: AbortSignal): Promise<Disposable | undefined> {
    const { authority } = this.#context
    if (!authority.holdPort) return undefined
    return authority.holdPort({ sessionId: await within(signal, session), takeOver: false }, signal)
  }

  reached({ instance, ...from }: ConsolePlace, { instance: _, ...to }: ConsolePlace): void {
    const type = this.#type
    this.#context.metrics.moved(type, 'followed')
    this.#context.sharedConsoles.move({ instance, type, ...placeOf(from) }, placeOf(to))
    this.#context.log.info(
      { instance, type, from: textOf(from), to: textOf(to) },
      'the sessions of a console go on at the other host',
    )
  }
}

const placeOf = ({ host, port }: Omit<ConsolePlace, 'instance'>) => ({ host, port })
const textOf = ({ host, port }: Omit<ConsolePlace, 'instance'>) => (port === 0 ? host : `${host}:${port}`)
