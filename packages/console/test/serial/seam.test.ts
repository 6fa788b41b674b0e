/** The output of successive connections, of which each begins with some of the output before it. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { overlapOf } from '../../src/serial/overlap.ts'
import { MIN_FIT_BYTES, MISSING, Seam, UNCLEAR } from '../../src/serial/seam.ts'
import { Tail } from '../../src/serial/tail.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const [missing, unclear] = [MISSING, UNCLEAR].map((line) => String(Buffer.from(line)))

/** Returns the output of connections, each of them in pieces. */
function join(...connections: readonly (readonly string[])[]): string {
  const passed: Uint8Array[] = []
  const seam = new Seam((bytes) => passed.push(Uint8Array.from(bytes)))
  for (const [index, pieces] of connections.entries()) {
    if (index > 0) seam.begin()
    for (const piece of pieces) seam.push(Buffer.from(piece, 'latin1'))
  }
  seam.finish()
  return Buffer.concat(passed).toString('latin1')
}

/** Output in which no stretch of {@link MIN_FIT_BYTES} comes twice. */
const numbered = (bytes: number) =>
  Array.from({ length: Math.ceil(bytes / 10) }, (_, line) => `${String(line).padStart(8, '0')}\r\n`)
    .join('')
    .slice(0, bytes)
/** Any output, and such as repeats itself. */
const part = fc.oneof(
  fc.integer({ min: 0, max: 3000 }).map(numbered),
  fc
    .tuple(fc.string({ minLength: 1, maxLength: 700, unit: fc.constantFrom('a', 'b', '\n') }), fc.nat(40))
    .map(([period, count]) => period.repeat(count + 1)),
  fc
    .array(fc.constantFrom('login: ', '\r\n', 'x'.repeat(300), 'boot '.repeat(99)), { maxLength: 12 })
    .map((parts) => parts.join('')),
)
const anyOutput = fc.tuple(part, part).map((parts) => parts.join(''))
/** A place in an output, as a share of it. */
const cut = fc.integer({ min: 0, max: 1000 }).map((thousandths) => thousandths / 1000)
const places = (output: string, ...cuts: number[]) => cuts.map((share) => Math.round(share * output.length))
const pieces = (text: string, cuts: readonly number[]) => {
  const ends = [...places(text, ...cuts), text.length].toSorted((a, b) => a - b)
  return ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end))
}

describe('the seam between two connections', () => {
  it('joins any output exactly, or says that it is unclear, wherever the repetition begins and the connection is cut', () => {
    const cuts = fc.tuple(anyOutput, cut, cut, fc.array(cut, { maxLength: 3 }))
    let exact = 0
    fc.assert(
      fc.property(cuts, ([output, one, other, splits]) => {
        const [from, broken] = places(output, one, other).toSorted((a, b) => a - b) as [number, number]
        fc.pre(broken - from >= MIN_FIT_BYTES)
        const [before, after] = [output.slice(0, broken), output.slice(from)]
        const result = join([before], pieces(after, splits))
        exact += Number(result === output)
        expect([output, before + unclear + after]).toContain(result)
      }),
      { numRuns: 1000 },
    )
    expect(exact).toBeGreaterThan(100)
  })

  it('joins an output without repetitions exactly from the shortest overlap on, and marks each shorter one and each loss', () => {
    const cuts = fc.tuple(fc.integer({ min: 600, max: 3000 }).map(numbered), cut, cut, fc.array(cut, { maxLength: 3 }))
    fc.assert(
      fc.property(cuts, ([output, one, other, splits]) => {
        const [from, broken] = places(output, one, other) as [number, number]
        fc.pre(broken > 0 && from < output.length)
        const [before, after] = [output.slice(0, broken), output.slice(from)]
        const result = join([before], pieces(after, splits))
        if (broken - from >= MIN_FIT_BYTES) expect(result).toBe(output)
        else expect([before + missing + after, before + unclear + after]).toContain(result)
      }),
      { numRuns: 1000 },
    )
  })

  it('joins more than two connections', () => {
    const output = numbered(3000)
    const connections = [output.slice(0, 1000), output.slice(300, 1500), output.slice(500, 2500), output.slice(1900)]
    expect(join(...connections.map((connection) => [connection]))).toBe(output)
  })

  it('marks the output of a proxy that repeats nothing', () => {
    expect(join(['Debian'], ['uptime'])).toBe(`Debian${missing}uptime`)
  })

  it('keeps a prompt that is printed again', () => {
    expect(join(['login: '], ['login: '])).toBe(`login: ${unclear}login: `)
  })

  it('keeps all of an output that repeats itself', () => {
    const lines = 'yes\n'.repeat(500)
    expect(join([lines], [lines])).toBe(lines + unclear + lines)
  })

  it('holds output back that may be a repetition, for a second at most', () => {
    const passed: string[] = []
    const seam = new Seam((bytes) => passed.push(String(Buffer.from(bytes))))
    seam.push(Buffer.from('login: root'))
    seam.begin()
    seam.push(Buffer.from('login: '))
    expect(passed).toEqual(['login: root'])
    vi.advanceTimersByTime(1000)
    expect(passed).toEqual(['login: root', unclear, 'login: '])
    seam.push(Buffer.from('bob'))
    expect(passed.at(-1)).toBe('bob')
  })

  it('leaves a repetition of 64 KiB out of 200 KiB', () => {
    const output = numbered(200_000)
    expect(join([output.slice(0, 150_000)], [output.slice(90_000, 154_464), output.slice(154_464)])).toBe(output)
  })
})

it('finds every fit of two outputs', () => {
  const short = fc.string({ maxLength: 12, unit: fc.constantFrom('a', 'b') })
  fc.assert(
    fc.property(short, short, (earlier, later) => {
      const lengths = Array.from({ length: later.length }, (_, index) => later.length - index)
      const fits = lengths.filter((length) => earlier.endsWith(later.slice(0, length)))
      const isOpen = earlier.slice(0, -1).includes(later) && earlier !== ''
      expect(overlapOf(Buffer.from(earlier), Buffer.from(later))).toEqual({ fits, isOpen })
    }),
    { numRuns: 2000 },
  )
})

it('keeps the last bytes of a stream', () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 30 })
  fc.assert(
    fc.property(parts, (chunks) => {
      const tail = new Tail(50)
      for (const chunk of chunks) tail.push(chunk)
      expect(Buffer.from(tail.bytes)).toEqual(Buffer.concat(chunks).subarray(-50))
    }),
  )
})
