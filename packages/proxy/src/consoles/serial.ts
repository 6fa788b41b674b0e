/**
 * Console type `serial`: the bytes of a serial port. The proxy sends binary frames and accepts binary and text frames, whose
 * UTF-8 bytes it relays. It changes no byte: guest and terminal agree on line ends, so Enter is a carriage return, as on a
 * real terminal. All that a client sends is input.
 */
import type { InputPermission } from '../hypervisor/input-permission.ts'
import { decorateLeg, type HypervisorSocket } from '../hypervisor/leg.ts'
import { type PortFinder, type PortPlace, type ReplaySettings, SerialHub } from '../serial/hub.ts'
import type { SerialPeers } from '../serial/peers.ts'
import { type Console, type ConsoleMover, type ConsolePlace, noHandshake } from './console.ts'

/**
 * @param replay how much earlier output a new session receives
 * @param peers the ports of other processes. Default: there are none
 */
export function serial(replay: ReplaySettings, peers?: SerialPeers): Console {
  const hub = new SerialHub(replay, peers)
  return {
    subprotocols: ['binary'],
    acceptsText: true,
    secure: noHandshake,
    share: ({ admission, query, sessionId, mover }, open, signal) =>
      hub.join({
        portId: portIdOf(admission),
        // A terminal that dials again still shows the earlier output.
        replay: query.get('replay') !== '0',
        ...{ open, signal, sessionId },
        finder: mover && new MovingPort(mover, admission),
      }),
    output: (console, maxBytes) => hub.output(portIdOf(console), maxBytes),
    forget: (console) => hub.forget(portIdOf(console)),
    limitInput: withholdAll,
    greet: noHandshake,
  }
}

/** Finds a port again and again. Keeps its address alone, since a session may last for days. */
class MovingPort implements PortFinder {
  readonly #mover: ConsoleMover
  #at: ConsolePlace

  constructor(mover: ConsoleMover, { instance, host, port }: ConsolePlace) {
    this.#mover = mover
    this.#at = { instance, host, port }
  }

  async find(sessionId: string): Promise<PortPlace | 'off' | undefined> {
    const mover = this.#mover
    const to = await mover.find(this.#at, sessionId)
    if (!to || to === 'off') return to
    return {
      portId: portIdOf(to),
      open: (session, signal) => mover.open(to, session, signal),
      admits: (id) => mover.admits(to, id),
      reached: () => this.#reached(to),
    }
  }

  #reached(to: ConsolePlace): void {
    this.#mover.reached(this.#at, to)
    this.#at = to
  }
}

/** Dropped bytes count as written. */
const withholdAll = (leg: HypervisorSocket, input: InputPermission): HypervisorSocket =>
  decorateLeg(leg, { write: (bytes) => !input.mayInput || leg.write(bytes) })

/** Identifies a serial port. Contains the address, because one instance may have several ports. */
const portIdOf = ({ instance, host, port }: ConsolePlace) => JSON.stringify([instance, host, port])
