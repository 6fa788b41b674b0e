import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { markMove } from '../../src/serial/moved-leg.ts'
import { Ring } from '../../src/serial/ring.ts'
import { cut, scriptedLeg, viewerOf } from '../hypervisor/scripted-leg.ts'

const MARK = '\r[moved to another host]\r\n'

/** What a reader sees of `output` after the move, in pieces. */
function marked(output: string, isAtLineStart: boolean, cuts: readonly number[] = [], restLength = 0) {
  const port = scriptedLeg()
  const bytes = Buffer.from(output)
  const { hypervisor, rest } = markMove({ hypervisor: port.leg, rest: bytes.subarray(0, restLength) }, isAtLineStart)
  const viewer = viewerOf(hypervisor)
  for (const piece of cut(bytes.subarray(restLength), cuts)) port.say(Buffer.from(piece))
  expect(port.lent()).toBe(0)
  return `${rest}${viewer.seen()}`
}

describe('the line of a move', () => {
  it.each([
    ['comes first at the start of a line', true, 'login: ', `${MARK}login: `],
    ['comes after the next end of a line otherwise', false, 'half\r\nwhole\r\n', `half\r\n${MARK}whole\r\n`],
    ['comes after a line end that the move has cut in two', false, '\nnext', `\n${MARK}next`],
    ['comes once', false, 'a\nb\nc\n', `a\n${MARK}b\nc\n`],
    ['is not there before the line ends', false, 'a prompt: ', 'a prompt: '],
  ])('%s', (_, isAtLineStart, output, expected) => {
    for (let restLength = 0; restLength <= output.length; restLength += 1) {
      const everyByte = Array.from(output, (_byte, at) => at)
      expect(marked(output, isAtLineStart, everyByte, restLength)).toBe(expected)
      expect(marked(output, isAtLineStart, [], restLength)).toBe(expected)
    }
  })

  it('is the only change of the output, in any pieces', () => {
    const output = fc.string({ unit: fc.constantFrom('a', '\r', '\n'), maxLength: 40 })
    fc.assert(
      fc.property(output, fc.boolean(), fc.array(fc.nat()), (text, isAtLineStart, cuts) => {
        const seen = marked(text, isAtLineStart, cuts)
        expect(seen.replace(MARK, '')).toBe(text)
        expect(seen).toBe(marked(text, isAtLineStart))
      }),
    )
  })

  it.each([
    ['', true],
    ['text', false],
    ['text\r', false],
    ['text\r\n', true],
    ['text\n', true],
    ['text\n\r', true],
    ['\r', false],
  ])('finds a terminal that shows %j at the start of a line: %s', (output, isAtLineStart) => {
    const ring = new Ring(4)
    for (const byte of output) ring.push(Buffer.from(byte))
    expect(ring.isAtLineStart).toBe(isAtLineStart)
  })
})

it('takes back its own bytes, and not those of the leg before it', () => {
  const port = scriptedLeg()
  const { hypervisor } = markMove({ hypervisor: port.leg, rest: Buffer.alloc(0) }, true)
  const taken: Buffer[] = []
  hypervisor.take((bytes) => taken.push(bytes) > 0)
  port.say(Buffer.from('own'))
  hypervisor.giveBack(Buffer.from('of another leg'))
  expect(port.lent()).toBe(3)
  hypervisor.giveBack(taken[0]!)
  expect(port.lent()).toBe(0)
})
