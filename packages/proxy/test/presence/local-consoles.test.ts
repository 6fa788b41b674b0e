import { describe, expect, it } from 'vitest'
import { LocalConsoles } from '../../src/presence/local-consoles.ts'
import { capture } from '../fixture.ts'
import { CONSOLE, participant, recordedPage } from './pages.ts'

function consoles() {
  const log = capture()
  const ended: string[] = []
  return { log, ended, shared: new LocalConsoles({ log: log.logger, endSession: (id) => void ended.push(id) }) }
}

const input = (mayInput = true) => ({ mayInput })

describe('the input of a session', () => {
  it('is on for every session of the role control, and off for a watcher', () => {
    const { shared } = consoles()
    const [ann, cid] = [input(), input()]
    shared.join(CONSOLE, participant('ann'), ann)
    shared.join(CONSOLE, participant('cid', 'watch'), cid)
    expect([ann.mayInput, cid.mayInput]).toEqual([true, false])
  })

  it('follows control, also for a session that joins later, and of this console alone', () => {
    const { shared } = consoles()
    const [ann, bea, late, other] = [input(), input(), input(), input()]
    shared.join(CONSOLE, participant('ann'), ann)
    shared.join(CONSOLE, participant('bea'), bea)
    shared.join({ ...CONSOLE, port: 5901 }, participant('other'), other)
    const page = shared.attach('ann', recordedPage())!
    expect(page.request({ type: 'give_control', to: 'other' })).toBe('This participant has left.')
    expect(page.request({ type: 'give_control', to: 'bea' })).toBeUndefined()
    shared.join(CONSOLE, participant('late'), late)
    expect([ann, bea, late, other].map(({ mayInput }) => mayInput)).toEqual([false, true, false, true])
  })

  it('is off once the session has left', () => {
    const { shared } = consoles()
    const ann = input()
    shared.join(CONSOLE, participant('ann'), ann).leave('idle')
    expect(ann.mayInput).toBe(false)
  })
})

describe('the page of a session', () => {
  it('sees the console at once, and every change', () => {
    const { shared } = consoles()
    const page = recordedPage()
    shared.join(CONSOLE, { ...participant('ann'), label: 'Ann', endsAtMs: 60_000 }, input())
    shared.attach('ann', page)
    expect(page.views).toEqual([
      {
        type: 'state',
        you: 'ann',
        participants: [
          { id: 'ann', label: 'Ann', role: 'control', since: '1970-01-01T00:00:00.000Z', has_control: true },
        ],
        control: { held_by: null, may_take: true, requested_by: [] },
        ends_at: '1970-01-01T00:01:00.000Z',
      },
    ])
    const cid = shared.join(CONSOLE, participant('cid', 'watch'), input())
    shared.attach('cid', recordedPage())!.request({ type: 'request_control' })
    expect(page.views.at(-1)).toMatchObject({ participants: [{}, { id: 'cid' }], control: { requested_by: ['cid'] } })
    cid.leave('client_closed')
    expect(page.views.at(-1)).toMatchObject({ participants: [{ id: 'ann' }], control: { requested_by: [] } })
  })

  it('shows the change after the input is switched', () => {
    const { shared } = consoles()
    const [ann, bea] = [input(), input()]
    shared.join(CONSOLE, participant('ann'), ann)
    shared.join(CONSOLE, participant('bea'), bea)
    const seen: boolean[][] = []
    const page = shared.attach('ann', { show: () => seen.push([ann.mayInput, bea.mayInput]), end: () => {} })!
    page.request({ type: 'give_control', to: 'bea' })
    expect(seen).toEqual([
      [true, true],
      [false, true],
    ])
  })

  it('ends with its session, for the same reason', () => {
    const { shared } = consoles()
    const page = recordedPage()
    const seat = shared.join(CONSOLE, participant('ann'), input())
    const attached = shared.attach('ann', page)!
    seat.leave('idle')
    seat[Symbol.dispose]()
    expect(page.ends).toEqual(['idle'])
    expect(attached.request({ type: 'take_control' })).toBe('The session has ended.')
    expect(shared.attach('ann', page)).toBeUndefined()
  })

  it('is replaced by a newer one, whose state the end of the earlier does not touch', () => {
    const { shared } = consoles()
    const [first, second] = [recordedPage(), recordedPage()]
    shared.join(CONSOLE, participant('ann'), input())
    const earlier = shared.attach('ann', first)!
    const later = shared.attach('ann', second)!
    expect(first.ends).toEqual(['taken_over'])
    earlier[Symbol.dispose]()
    later.request({ type: 'take_control' })
    expect(second.views.at(-1)?.control.held_by).toBe('ann')
    expect(second.ends).toEqual([])
  })

  it('ends its session on request', () => {
    const { shared, ended } = consoles()
    shared.join(CONSOLE, participant('ann'), input())
    shared.attach('ann', recordedPage())!.request({ type: 'leave' })
    expect(ended).toEqual(['ann'])
  })
})

describe('the log', () => {
  it('says who gave control to whom, and from when the earlier session had it', () => {
    const { shared, log } = consoles()
    shared.join(CONSOLE, participant('ann'), input())
    const bea = shared.join(CONSOLE, participant('bea'), input())
    const page = shared.attach('ann', recordedPage())!
    page.request({ type: 'take_control' })
    page.request({ type: 'give_control', to: 'bea' })
    bea.leave('client_closed')
    const records = log.records('control of a console changed')
    const where = { instance: 'i', type: 'novnc' }
    expect(records).toMatchObject([
      { ...where, how: 'taken', by: 'ann', from: null, to: 'ann' },
      {
        ...where,
        how: 'given',
        by: 'ann',
        from: 'ann',
        to: 'bea',
        heldFrom: expect.any(String),
        heldMs: expect.any(Number),
      },
      { ...where, how: 'left', by: 'bea', from: 'bea', to: null, heldFrom: expect.any(String) },
    ])
    expect(records[0]).not.toHaveProperty('heldMs')
  })
})

describe('a console whose machine moves', () => {
  const there = { host: '127.0.0.1', port: 5999 }

  it('keeps its sessions and their control, which a session that opens it there sees', () => {
    const { shared } = consoles()
    const [ann, late] = [input(), input()]
    shared.join(CONSOLE, participant('ann'), ann)
    shared.attach('ann', recordedPage())!.request({ type: 'take_control' })
    shared.move(CONSOLE, there)
    const page = recordedPage()
    shared.join({ ...CONSOLE, ...there }, participant('late'), late)
    shared.attach('late', page)
    expect([ann.mayInput, late.mayInput]).toEqual([true, false])
    expect(page.views.at(-1)?.participants.map(({ id }) => id)).toEqual(['ann', 'late'])
  })

  it('takes in the sessions that opened it there before, without a change of control', () => {
    const { shared } = consoles()
    const [ann, early] = [input(), input()]
    shared.join(CONSOLE, participant('ann'), ann)
    const seat = shared.join({ ...CONSOLE, ...there }, participant('early'), early)
    const [page, earlyPage] = [recordedPage(), recordedPage()]
    shared.attach('ann', page)
    shared.attach('early', earlyPage)!.request({ type: 'take_control' })
    shared.move(CONSOLE, there)
    expect([ann.mayInput, early.mayInput]).toEqual([false, true])
    expect([page.inControl(), earlyPage.inControl()]).toEqual([['early'], ['early']])
    seat.leave('idle')
    expect(page.inControl()).toEqual(['ann'])
    expect(ann.mayInput).toBe(true)
  })

  it('is the only one that moves', () => {
    const { shared } = consoles()
    const [page, other] = [recordedPage(), recordedPage()]
    shared.join(CONSOLE, participant('ann'), input())
    shared.join({ ...CONSOLE, type: 'serial' }, participant('other'), input())
    shared.attach('other', other)
    shared.move(CONSOLE, there)
    shared.move({ ...CONSOLE, port: 1 }, there)
    shared.join({ ...CONSOLE, ...there }, participant('late'), input())
    shared.attach('ann', page)
    expect(page.views.at(-1)?.participants).toHaveLength(2)
    expect(other.views).toHaveLength(1)
  })
})
