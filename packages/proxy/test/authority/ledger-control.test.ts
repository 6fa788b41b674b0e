/** The spans of control in the ledger: what a report says of who has control. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ControlSpans } from '../../src/authority/control-spans.ts'
import { Ledger } from '../../src/authority/ledger.ts'

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 10, 29) }))
afterEach(() => void vi.useRealTimers())

const SESSION = { view: { bytesToClient: 0, bytesToConsole: 0 } as never, end: () => {} }
const at = (second: number) => new Date(Date.UTC(2026, 10, 29, 0, 0, second)).toISOString()

/** A ledger whose authority takes spans. */
function ledgerOf() {
  const ledger = new Ledger()
  ledger.reportControl(true)
  return ledger
}

/** Sends a report, and acknowledges it. */
function reported(ledger: Ledger) {
  const report = ledger.report()
  ledger.acknowledge(report)
  return report.control
}

describe('a span of control', () => {
  it('starts once the session is open, and is reported once', () => {
    const ledger = ledgerOf()
    const record = ledger.admitted('a')
    record.control(true)
    expect(reported(ledger)).toBeUndefined()
    record.opened(SESSION)
    expect(reported(ledger)).toEqual([{ id: 'a', since: at(0) }])
    record.control(true)
    expect(reported(ledger)).toBeUndefined()
  })

  it('ends when control is lost, and another one starts when it comes back', () => {
    const ledger = ledgerOf()
    const record = ledger.admitted('a')
    record.opened(SESSION)
    record.control(true)
    reported(ledger)
    vi.advanceTimersByTime(1_000)
    record.control(false)
    record.control(false)
    vi.advanceTimersByTime(1_000)
    record.control(true)
    expect(reported(ledger)).toEqual([
      { id: 'a', since: at(0), until: at(1) },
      { id: 'a', since: at(2) },
    ])
  })

  it.each(['before', 'after'])('ends with its session, if control is lost %s that', (order) => {
    const ledger = ledgerOf()
    const record = ledger.admitted('a')
    record.opened(SESSION)
    record.control(true)
    reported(ledger)
    vi.advanceTimersByTime(1_000)
    if (order === 'before') record.control(false)
    record.ended('client_closed')
    vi.advanceTimersByTime(1_000)
    record.control(false)
    record.control(true)
    expect(reported(ledger)).toEqual([{ id: 'a', since: at(0), until: at(1) }])
  })

  it('that is shorter than a beat is reported with both times alone', () => {
    const ledger = ledgerOf()
    const record = ledger.admitted('a')
    record.opened(SESSION)
    record.control(true)
    record.control(false)
    expect(reported(ledger)).toEqual([{ id: 'a', since: at(0), until: at(0) }])
  })

  it('is reported again until the authority has it, also if it ended meanwhile', () => {
    const ledger = ledgerOf()
    const record = ledger.admitted('a')
    record.opened(SESSION)
    record.control(true)
    const first = ledger.report()
    record.control(false)
    ledger.acknowledge(first)
    expect(reported(ledger)).toEqual([{ id: 'a', since: at(0), until: at(0) }])
  })

  it('is kept while it is unknown whether the authority takes it, and dropped if it does not', () => {
    const ledger = new Ledger()
    const record = ledger.admitted('a')
    record.opened(SESSION)
    record.control(true)
    expect(reported(ledger)).toBeUndefined()
    ledger.reportControl(undefined)
    ledger.reportControl(true)
    expect(ledger.report().control).toEqual([{ id: 'a', since: at(0) }])
    ledger.reportControl(false)
    ledger.reportControl(true)
    expect(ledger.report().control).toBeUndefined()
  })
})

it('the spans that wait are bounded: the oldest are dropped first', () => {
  const spans = new ControlSpans({ max: 3, maxAtOnce: 2 })
  for (const id of ['a', 'b', 'c', 'd']) spans.start(id)
  const report = spans.report()
  expect(report.map(({ id }) => id)).toEqual(['b', 'c'])
  spans.acknowledge(report)
  expect(spans.report().map(({ id }) => id)).toEqual(['d'])
})
