/**
 * Console type `serial`: the bytes of a serial port. The proxy sends binary frames and accepts binary and text frames, whose
 * UTF-8 bytes it relays. It changes no byte: guest and terminal agree on line ends, so Enter is a carriage return, as on a
 * real terminal. All that a client sends is input.
 */
import type { InputPermission } from '../hypervisor/input-permission.ts'
import { decorateLeg, type HypervisorSocket } from '../hypervisor/leg.ts'
import { type ReplaySettings, SerialHub } from '../serial/hub.ts'
import type { SerialPeers } from '../serial/peers.ts'
import { type Console, noHandshake, type Opening } from './console.ts'

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
    share: ({ admission, query }, open, signal) =>
      // A terminal that dials again still shows the earlier output.
      hub.join({ portId: portIdOf(admission), replay: query.get('replay') !== '0', open, signal }),
    forget: (console) => hub.forget(portIdOf(console)),
    limitInput: withholdAll,
    greet: noHandshake,
  }
}

/** Dropped bytes count as written. */
const withholdAll = (leg: HypervisorSocket, input: InputPermission): HypervisorSocket =>
  decorateLeg(leg, { write: (bytes) => !input.mayInput || leg.write(bytes) })

/** Identifies a serial port. Contains the address, because one instance may have several ports. */
const portIdOf = ({ instance, host, port }: Pick<Opening['admission'], 'instance' | 'host' | 'port'>) =>
  JSON.stringify([instance, host, port])
