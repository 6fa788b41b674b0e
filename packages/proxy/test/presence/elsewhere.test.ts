/** Consoles that sessions at several proxies have open. A played authority decides, as the database of the API does. */
import { describe, expect, it } from 'vitest'
import type { Arbiter, ConsoleElsewhere, ControlStep } from '../../src/presence/elsewhere.ts'
import { LocalConsoles } from '../../src/presence/local-consoles.ts'
import type { Participant } from '../../src/presence/shared-consoles.ts'
import { capture } from '../fixture.ts'
import { CONSOLE, participant, recordedPage } from './pages.ts'

const { instance, type } = CONSOLE
const elsewhere = (changes: Partial<ConsoleElsewhere> = {}): ConsoleElsewhere => ({
  ...{ instance, type, revision: 1, participants: [participant('bea')] },
  ...{ heldBy: null, ready: true, requestedBy: [], ...changes },
})

/** A proxy whose authority answers each question in turn, and the last answer for ever. */
function proxy(...answers: (ConsoleElsewhere | Error | undefined)[]) {
  const log = capture()
  const asked: [string, ControlStep][] = []
  const arbiter: Arbiter = {
    async ask(sessionId, step) {
      asked.push([sessionId, step])
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  const consoles = new LocalConsoles({ log: log.logger, endSession: () => {}, arbiter })
  const join = (of: Participant) => {
    const input = { mayInput: of.role === 'control' }
    const page = recordedPage()
    const seat = consoles.join(CONSOLE, of, input)
    const attached = consoles.attach(of.id, page)!
    return { input, page, seat, request: attached.request }
  }
  return { consoles, join, asked, log }
}

const TAKE = { type: 'take_control' } as const
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('a console that sessions at another proxy have open', () => {
  it('shows them to its pages, the oldest first, until they are gone', () => {
    const { consoles, join } = proxy()
    const { page } = join({ ...participant('ann'), sinceMs: 2 })
    const bob: Participant = { ...participant('bob', 'watch'), label: 'Bob', sinceMs: 1 }
    consoles.show([elsewhere({ participants: [bob] })])
    expect(page.views.at(-1)).toMatchObject({
      participants: [
        { id: 'bob', label: 'Bob', role: 'watch', since: '1970-01-01T00:00:00.001Z', has_control: false },
        { id: 'ann', has_control: true },
      ],
    })
    consoles.show([])
    expect(page.views.at(-1)!.participants.map(({ id }) => id)).toEqual(['ann'])
  })

  it('sends no input of a session that opens it while a session there has control', () => {
    const { consoles, join } = proxy()
    consoles.learn(elsewhere({ heldBy: 'bea' }))
    const [ann, cid] = [join(participant('ann')), join(participant('cid', 'watch'))]
    expect([ann.input.mayInput, cid.input.mayInput]).toEqual([false, false])
    expect(ann.page.views.at(-1)).toMatchObject({ control: { held_by: 'bea', may_take: true } })
    consoles.show([elsewhere({ revision: 2 })])
    expect([ann.input.mayInput, cid.input.mayInput]).toEqual([true, false])
  })

  it('sends no input of a session that took control until the session there has lost it', async () => {
    const { consoles, join, asked } = proxy(elsewhere({ revision: 2, heldBy: 'ann', ready: false }))
    consoles.learn(elsewhere({ heldBy: 'bea' }))
    const ann = join(participant('ann'))
    expect(await ann.request(TAKE)).toBeUndefined()
    expect(asked).toEqual([['ann', { from: 'bea', to: 'ann' }]])
    expect(ann.page.views.at(-1)).toMatchObject({ control: { held_by: 'ann' } })
    expect(ann.input.mayInput).toBe(false)
    consoles.show([elsewhere({ revision: 2, heldBy: 'ann', ready: true })])
    expect(ann.input.mayInput).toBe(true)
  })

  it('switches off the input of a session that loses control to a session at the other proxy', () => {
    const { consoles, join, log } = proxy()
    const ann = join(participant('ann'))
    consoles.show([elsewhere({ heldBy: 'ann' })])
    expect(ann.input.mayInput).toBe(true)
    consoles.show([elsewhere({ revision: 2, heldBy: 'bea', ready: false })])
    expect(ann.input.mayInput).toBe(false)
    const change = { how: 'elsewhere', by: null, from: 'ann', to: 'bea' }
    expect(log.records('control of a console changed').at(-1)).toMatchObject(change)
  })

  it('keeps its state when an older revision arrives later', () => {
    const { consoles, join } = proxy()
    const ann = join(participant('ann'))
    consoles.learn(elsewhere({ revision: 3, heldBy: 'bea' }))
    consoles.learn(elsewhere({ revision: 2 }))
    consoles.show([elsewhere({ revision: 2 })])
    expect(ann.input.mayInput).toBe(false)
  })

  it('gives control to a session there, and returns it when that watcher is left alone', async () => {
    const { consoles, join, asked } = proxy(
      elsewhere({ revision: 2, heldBy: 'cid', participants: [participant('cid', 'watch')] }),
    )
    consoles.show([elsewhere({ participants: [participant('cid', 'watch')] })])
    const ann = join(participant('ann'))
    expect(await ann.request({ type: 'give_control', to: 'cid' })).toBeUndefined()
    expect(asked).toEqual([['ann', { from: null, to: 'cid' }]])
    expect(ann.input.mayInput).toBe(false)
    const other = proxy(elsewhere({ revision: 3, participants: [] }))
    other.consoles.learn(elsewhere({ revision: 2, heldBy: 'cid', participants: [participant('ann')] }))
    const cid = other.join(participant('cid', 'watch'))
    expect(cid.input.mayInput).toBe(true)
    other.consoles.show([elsewhere({ revision: 2, heldBy: 'cid', participants: [participant('dan', 'watch')] })])
    expect(cid.input.mayInput).toBe(false)
    expect(other.asked).toEqual([['cid', { from: 'cid', to: null }]])
  })

  it('refuses a request of a page if another proxy moved control first, or the authority does not answer', async () => {
    const { consoles, join } = proxy(elsewhere({ revision: 2, heldBy: 'bea' }), new Error('down'), undefined)
    consoles.show([elsewhere()])
    const ann = join(participant('ann'))
    expect(await ann.request(TAKE)).toMatch(/^Another participant moved control/)
    expect(ann.input.mayInput).toBe(false)
    expect(await ann.request(TAKE)).toMatch(/does not answer/)
    expect(await ann.request(TAKE)).toBe('The session has ended.')
    expect(ann.input.mayInput).toBe(false)
  })

  it('reports control that it gave to a watcher during an outage by another session than the watcher', async () => {
    const { consoles, join, asked } = proxy(new Error('down'))
    const [cid, ann] = [join(participant('cid', 'watch')), join(participant('ann'))]
    await ann.request({ type: 'give_control', to: 'cid' })
    await settled()
    consoles.show([elsewhere()])
    expect(asked.at(-1)).toEqual(['ann', { from: null, to: 'cid' }])
    expect(cid.input.mayInput).toBe(true)
    await settled()
    ann.seat.leave('client_closed')
    consoles.show([elsewhere()])
    expect(cid.input.mayInput).toBe(false)
    expect(cid.page.views.at(-1)).toMatchObject({ control: { held_by: null } })
  })

  it('shows requests for control of sessions there', async () => {
    const { consoles, join, asked } = proxy(elsewhere({ revision: 2, heldBy: 'bea', requestedBy: ['ann'] }))
    consoles.learn(elsewhere({ heldBy: 'bea' }))
    const ann = join(participant('ann'))
    expect(await ann.request({ type: 'request_control' })).toBeUndefined()
    expect(asked).toEqual([['ann', { requests: true }]])
    expect(ann.page.views.at(-1)).toMatchObject({ control: { requested_by: ['ann'] } })
  })

  it('leaves control with its own session, or else returns it to all, once the authority is silent', () => {
    const { consoles, join } = proxy()
    const [ann, bob, cid] = [join(participant('ann')), join(participant('bob')), join(participant('cid', 'watch'))]
    const inputs = () => [ann, bob, cid].map(({ input }) => input.mayInput)
    consoles.show([elsewhere({ heldBy: 'bob' })])
    consoles.show(undefined)
    expect(inputs()).toEqual([false, true, false])
    consoles.show([elsewhere({ revision: 2, heldBy: 'bea' })])
    expect(inputs()).toEqual([false, false, false])
    consoles.show(undefined)
    expect(inputs()).toEqual([true, true, false])
  })
})

describe('a console that this proxy has open alone', () => {
  it('moves control at once, and reports it to the authority', async () => {
    const { join, asked } = proxy(elsewhere({ revision: 1, heldBy: 'ann', participants: [] }))
    const [ann, bob] = [join(participant('ann')), join(participant('bob'))]
    expect(ann.request(TAKE)).toBeUndefined()
    expect([ann.input.mayInput, bob.input.mayInput]).toEqual([true, false])
    await settled()
    bob.request({ type: 'request_control' })
    ann.seat.leave('client_closed')
    expect(asked).toEqual([
      ['ann', { from: null, to: 'ann' }],
      ['bob', { requests: true }],
    ])
    expect(bob.input.mayInput).toBe(true)
  })

  it('keeps a move whose report failed, and reports it again after the next answer of the authority', async () => {
    const { consoles, join, asked } = proxy(new Error('down'), elsewhere({ revision: 2, heldBy: 'ann' }))
    const [ann, bob] = [join(participant('ann')), join(participant('bob'))]
    ann.request(TAKE)
    await settled()
    consoles.show([elsewhere()])
    expect(asked.at(-1)).toEqual(['ann', { from: null, to: 'ann' }])
    expect([ann.input.mayInput, bob.input.mayInput]).toEqual([true, false])
    await settled()
    consoles.show([elsewhere({ revision: 3 })])
    expect([ann.input.mayInput, bob.input.mayInput]).toEqual([true, true])
    expect(asked).toHaveLength(2)
  })

  it('follows the authority where a session at another proxy got control meanwhile', async () => {
    const { consoles, join } = proxy(new Error('down'))
    const ann = join(participant('ann'))
    ann.request(TAKE)
    await settled()
    consoles.show([elsewhere({ heldBy: 'bea' })])
    expect(ann.input.mayInput).toBe(false)
  })
})
