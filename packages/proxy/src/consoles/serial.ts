/**
 * Console type `serial`: the bytes of a serial port. To the client they travel in binary frames; from the client both
 * kinds count, a text frame as its UTF-8 bytes. No byte is changed on the way: line ends are the business of the guest
 * and of the terminal, so Enter is a carriage return, as on a real terminal.
 */
import { type Console, type IdentitySetting, nothingToShake, type Opening } from './console.ts'
import { carryingOnly, NONE_THAT_IDENTIFIES } from './protocol-guard.ts'
import { type ReplaySettings, Replays } from './replay.ts'

/** @param replay how much earlier output a new session is shown */
export function serial(replay: ReplaySettings, identity: IdentitySetting): Console {
  const replays = new Replays(replay)
  return {
    subprotocols: ['binary'],
    pages: { '/serial.html': 'serial.html' },
    acceptsText: true,
    secure: async (dialled, _limits, { admission, query, log }) => {
      const carrying = carryingOnly(NONE_THAT_IDENTIFIES, dialled, identity, log)
      if (replay.maxBytes === 0) return carrying
      const joined = replays.join(placeOf(admission), carrying.hypervisor)
      // A terminal that dials again still shows what it had.
      return { hypervisor: joined.hypervisor, rest: query.get('replay') === '0' ? Buffer.alloc(0) : joined.earlier }
    },
    greet: nothingToShake,
  }
}

/** One serial port: a token for the same instance at another address is shown nothing of this one. */
const placeOf = ({ instance, host, port }: Opening['admission']) => `${instance} ${host} ${port}`
