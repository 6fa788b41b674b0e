/**
 * The leg to a serial port whose machine runs on another host now. It goes on where the leg to the old host ended, and a line
 * in its output says so.
 */

import { decorateLeg, type HypervisorSocket, type SecuredLeg, type TakeBytes } from '../hypervisor/leg.ts'
import { allocatePayload } from '../hypervisor/read-buffers.ts'

/** Begins with a carriage return, for guests that end lines without one. */
const MARK = Buffer.from('\r[moved to another host]\r\n')
const LINE_END = 0x0a

/**
 * Decorates the leg to the new host. The line comes first if the terminal is at the start of a line, and otherwise after the
 * next end of a line: a prompt, or a line that the move has cut in two, stays whole.
 */
export function markMove({ hypervisor, rest }: SecuredLeg, isAtLineStart: boolean): SecuredLeg {
  const marked = new MarkedLeg(hypervisor, isAtLineStart)
  return { hypervisor: marked.leg, rest: isAtLineStart ? Buffer.concat([MARK, rest]) : (marked.mark(rest) ?? rest) }
}

/** Returns a leg that takes back only its own bytes: readers may still hold those of the leg to the old host. */
export function takeOwnBack(leg: HypervisorSocket): HypervisorSocket {
  const lent = new Set<Buffer>()
  return decorateLeg(leg, {
    take: (taker) =>
      leg.take((bytes) => {
        lent.add(bytes)
        return taker(bytes)
      }),
    giveBack: (bytes) => {
      if (lent.delete(bytes)) leg.giveBack(bytes)
    },
  })
}

class MarkedLeg {
  readonly leg: HypervisorSocket
  readonly #own: HypervisorSocket
  #isMarked: boolean

  constructor(leg: HypervisorSocket, isMarked: boolean) {
    this.#own = takeOwnBack(leg)
    this.#isMarked = isMarked
    this.leg = isMarked
      ? this.#own
      : decorateLeg(this.#own, { take: (taker) => this.#own.take((bytes) => this.#pass(bytes, taker)) })
  }

  /** Returns a copy with the line after the first end of a line; `undefined` if no line ends in it, or if the line of the move was there before. */
  mark(bytes: Buffer): Buffer | undefined {
    const at = this.#isMarked ? -1 : bytes.indexOf(LINE_END)
    if (at < 0) return undefined
    this.#isMarked = true
    const marked = allocatePayload(bytes.length + MARK.length)
    bytes.copy(marked, 0, 0, at + 1)
    MARK.copy(marked, at + 1)
    bytes.copy(marked, at + 1 + MARK.length, at + 1)
    return marked
  }

  #pass(bytes: Buffer, taker: TakeBytes): boolean {
    const marked = this.mark(bytes)
    if (!marked) return taker(bytes)
    this.#own.giveBack(bytes)
    return taker(marked)
  }
}
