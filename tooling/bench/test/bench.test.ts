import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { requirement } from '@oriel/testkit'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { seeded } from '../src/chaos/random.ts'
import { chaos } from '../src/chaos/run.ts'
import { TickReader, tickMessage } from '../src/chaos/ticks.ts'
import { clientFrame, FrameReader, opcodes } from '../src/frames.ts'
import { alternate, alternateFresh } from '../src/measurement.ts'
import { digits, median, quantile } from '../src/numbers.ts'
import { cpuSeconds, memoryBytes, openHandles, processCount } from '../src/process-tree.ts'
import { isMeasurement, measurements } from '../src/registry.ts'
import { replaceSection, section, table } from '../src/report.ts'
import { soak } from '../src/soak.ts'

const apps = ['api', 'proxy'].map((name) => new URL(`../../../apps/${name}/dist/main.js`, import.meta.url))
const { skip, reason } = requirement('the built programs', apps.every(existsSync), 'npm run build')
const TIMEOUT_MS = 120_000

describe.skipIf(skip)(`a quick run${reason}`, () => {
  it.each(Object.keys(measurements).filter(isMeasurement))(
    'of %s has a figure in every cell',
    async (name) => {
      const { columns, rows } = await measurements[name].run('quick')
      expect(rows.length).toBeGreaterThan(0)
      for (const row of rows) expect(row).toHaveLength(columns.length + 1)
      expect(rows.flat().filter((cell) => /NaN|undefined|Infinity/.test(cell))).toEqual([])
    },
    TIMEOUT_MS,
  )

  it(
    'of the soak ends every session with a reason and as its client expects',
    async () => {
      const { outcome } = await soak({ minutes: 0.05, say: () => {}, restMs: 0 })
      const found = Object.fromEntries(outcome.verdicts.map(({ goal, found }) => [goal, found]))
      expect(found).toMatchObject({ 'no session without an end reason': '0', 'no unexpected outcome': 'nothing' })
      expect(Object.fromEntries(outcome.rows.map(([name, value]) => [name, value]))).toMatchObject({
        'end reasons': expect.stringMatching(/client_closed \d+/),
        'connects refused': expect.stringContaining('console_unreachable'),
      })
    },
    TIMEOUT_MS,
  )

  it(
    'of chaos keeps consoles open at all faults that do not affect them, and loses no tick',
    async () => {
      const said: string[] = []
      const say = (line: string) => void said.push(line)
      const { outcome } = await chaos({ minutes: 0.001, seed: 1, say, consoles: 15, lastsMs: [200, 400] })
      const found = Object.fromEntries(outcome.verdicts.map(({ goal, found }) => [goal, found]))
      expect(found, said.join('\n')).toMatchObject({
        'no unaffected console ends': 'nothing',
        'no tick is lost': 'nothing',
      })
      expect(outcome.rows.map(([title]) => title)).toEqual(
        expect.arrayContaining(['authority: killed', 'hypervisor: killed', 'log reader: frozen']),
      )
    },
    TIMEOUT_MS,
  )

  it('detects missing, duplicate and damaged ticks', () => {
    const ticks = [0, 1, 2].map(tickMessage)
    const reader = new TickReader()
    for (const byte of Buffer.concat(ticks)) reader.push(Buffer.of(byte))
    expect(() => new TickReader().push(ticks[1]!)).toThrow('tick 0 was expected')
    expect(() => reader.push(ticks[2]!)).toThrow('tick 3 was expected')
  })

  it('gives the same order of faults for the same seed', () => {
    const order = (seed: number) => seeded(seed).shuffled([1, 2, 3, 4, 5, 6, 7, 8])
    expect(order(7)).toEqual(order(7))
    expect(order(7)).not.toEqual(order(8))
    expect(order(7).toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })
})

describe('candidates that take turns', () => {
  const entrants = [{ name: 'oriel' }, { name: 'asking' }] as const

  it('have the opposite order in each round', async () => {
    const turns: string[] = []
    const measure = async ({ name }: (typeof entrants)[number]) => turns.push(name)
    const rounds = await alternate(entrants, 2, measure, 1)
    expect(turns).toEqual(['asking', 'oriel', 'oriel', 'asking', 'asking', 'oriel'])
    expect([...rounds]).toEqual([
      ['oriel', [3, 6]],
      ['asking', [4, 5]],
    ])
  })

  it('are started anew for each of two rounds of opposite order, and stopped after it', async () => {
    const events: string[] = []
    const start = async () => {
      events.push('start')
      return { entrants, [Symbol.asyncDispose]: async () => void events.push('stop') }
    }
    const measure = async ({ name }: (typeof entrants)[number]) => events.push(name)
    const rounds = await alternateFresh(start, measure, 'full')
    expect(events).toEqual(['start', 'oriel', 'asking', 'stop', 'start', 'asking', 'oriel', 'stop'])
    expect([...rounds]).toEqual([
      ['oriel', [2, 7]],
      ['asking', [3, 6]],
    ])
  })
})

describe('docs/performance.md', () => {
  it('has a section for each measurement, for the soak and for the chaos run', async () => {
    const page = await readFile(new URL('../../../docs/performance.md', import.meta.url), 'utf8')
    const names = [...Object.keys(measurements), 'soak', 'chaos']
    expect(names.filter((name) => !page.includes(`<!-- bench:${name} -->`))).toEqual([])
  })

  it('keeps the text around a replaced section', () => {
    const page = 'before\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nafter\n'
    expect(replaceSection(page, 'a', 'new')).toBe('before\n<!-- bench:a -->\nnew\n<!-- /bench:a -->\nafter\n')
    expect(() => replaceSection(page, 'b', 'new')).toThrow('<!-- bench:b -->')
  })

  it('contains the figures, whether they meet the goal, and the command that repeats them', () => {
    const verdicts = [
      { goal: 'at most 1', found: '2', met: false },
      { goal: 'many', found: 'few' },
    ]
    const text = section('Title', 'Method.', { columns: ['n'], rows: [['a', '2']], verdicts }, 'npm run bench')
    expect(text).toContain(table(['', 'n'], [['a', '2']]))
    expect(text).toContain('| at most 1 | 2 | no |\n| many | few | not tried |')
    expect(text).toContain('`npm run bench`')
  })

  it('names the guest if the bench ran in one', () => {
    onTestFinished(() => void vi.unstubAllEnvs())
    const text = () => section('Title', 'Method.', { columns: [], rows: [], verdicts: [] }, 'npm run bench')
    expect(text()).toMatch(/, Node v[\d.]+\.$/)
    vi.stubEnv('BENCH_PLACE', 'in a QEMU guest of 8G')
    expect(text()).toMatch(/, Node v[\d.]+, in a QEMU guest of 8G\.$/)
  })
})

describe('figures', () => {
  it('are quantiles of the measured values', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(quantile([1, 2, 3, 4], 0.99)).toBe(4)
    expect(() => median([])).toThrow(RangeError)
  })

  it.each([
    [0, '0'],
    [0.012345, '0.0123'],
    [1.5, '1.50'],
    [123.4, '123'],
    [12_345, '12,345'],
  ])('are rounded: %d to %s', (value, text) => {
    expect(digits(value)).toBe(text)
  })

  it('of a process are those of the operating system', () => {
    expect(cpuSeconds(process.pid)).toBeGreaterThan(0)
    expect(memoryBytes(process.pid)).toBeGreaterThan(1024 * 1024)
    expect(openHandles(process.pid)).toBeGreaterThan(2)
    expect(processCount(process.pid)).toBeGreaterThan(0)
  })
})

describe('frames', () => {
  const payloads = [Buffer.alloc(5, 1), Buffer.alloc(300, 2), Buffer.alloc(70_000, 3)]
  const wire = Buffer.concat([
    ...payloads.map((payload) => Buffer.concat([head(payload.length), payload])),
    Buffer.of(0x89, 2, 7, 8),
    Buffer.of(0x88, 0),
  ])

  it.each([1, 7, 65_536])('are read if they arrive in pieces of %d bytes', (size) => {
    const data: Buffer[] = []
    const controls: [number, string][] = []
    const reader = new FrameReader({
      data: (payload) => void data.push(Buffer.from(payload)),
      control: (opcode, payload) => void controls.push([opcode, payload.toString('hex')]),
    })
    for (let at = 0; at < wire.length; at += size) reader.push(wire.subarray(at, at + size))
    expect(Buffer.concat(data).equals(Buffer.concat(payloads))).toBe(true)
    expect(controls).toEqual([
      [opcodes.ping, '0708'],
      [opcodes.close, ''],
    ])
  })

  it('of the client are masked', () => {
    expect(clientFrame(opcodes.binary, Buffer.of(0, 0, 0, 0, 0)).toString('hex')).toBe('828537fa213d37fa213d37')
    expect(() => clientFrame(opcodes.binary, Buffer.alloc(126))).toThrow(RangeError)
  })
})

/** RFC 6455 section 5.2. */
function head(length: number): Buffer {
  if (length < 126) return Buffer.of(0x82, length)
  if (length < 65_536) return Buffer.of(0x82, 126, length >> 8, length & 0xff)
  return Buffer.concat([
    Buffer.of(0x82, 127, 0, 0, 0, 0),
    Buffer.of(length >>> 24, length >>> 16, length >>> 8, length),
  ])
}
