/**
 * Console type `serial`: the bytes of a serial port. To the client they travel in binary frames; from the client both
 * kinds count, a text frame as its UTF-8 bytes. No byte is changed on the way: line ends are the business of the guest
 * and of the terminal, so Enter is a carriage return, as on a real terminal.
 */
import { type Console, noHandshake, type Opening } from './console.ts'
import { type ReplaySettings, Replays } from './replay.ts'

/** @param replay how much earlier output a new session is shown */
export function serial(replay: ReplaySettings): Console {
  const replays = new Replays(replay)
  return {
    subprotocols: ['binary'],
    acceptsText: true,
    secure: noHandshake,
    attach: (leg, { admission, query }) => {
      if (replay.maxBytes === 0) return leg
      const joined = replays.join(portOf(admission), leg.hypervisor)
      // A terminal that dials again still shows the earlier output.
      return { hypervisor: joined.hypervisor, rest: query.get('replay') === '0' ? Buffer.alloc(0) : joined.earlier }
    },
    greet: noHandshake,
  }
}

/** Identifies a serial port. The address is part of it: another port of the same instance has other output. */
const portOf = ({ instance, host, port }: Opening['admission']) => `${instance} ${host} ${port}`
