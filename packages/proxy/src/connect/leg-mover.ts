/** Follows the machine of a leg that sessions share. */
import type { ConsoleMover, ConsolePlace } from '../consoles/console.ts'
import type { WebSocketConsoleType } from '../consoles/kinds.ts'
import type { SecuredLeg } from '../hypervisor/leg.ts'
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

  async find({ instance, host, port }: ConsolePlace, sessionId: string): Promise<ConsolePlace | undefined> {
    const found = await this.#moves.find({ instance, type: this.#type, sessionId, host, port })
    return found && { instance, ...found }
  }

  admits({ instance, ...found }: ConsolePlace, sessionId: string): Promise<boolean> {
    return this.#moves.mayFollow({ instance, type: this.#type, sessionId }, found)
  }

  open(console: ConsolePlace, signal: AbortSignal): Promise<SecuredLeg> {
    const log = this.#context.log.child({ instance: console.instance })
    const request = { type: this.#type, admission: console, query: new URLSearchParams(), log }
    return openUpstream(this.#context, request, signal)
  }

  reached({ instance, ...from }: ConsolePlace, { instance: _, ...to }: ConsolePlace): void {
    const type = this.#type
    this.#context.sharedConsoles.move({ instance, type, ...placeOf(from) }, placeOf(to))
    this.#context.log.info(
      { instance, type, from: textOf(from), to: textOf(to) },
      'the sessions of a console go on at the other host',
    )
  }
}

const placeOf = ({ host, port }: Omit<ConsolePlace, 'instance'>) => ({ host, port })
const textOf = ({ host, port }: Omit<ConsolePlace, 'instance'>) => (port === 0 ? host : `${host}:${port}`)
