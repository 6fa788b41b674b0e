/** Consoles that sessions of several workers share, each worker over a channel of its own to the primary. */
import { silentLogger } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { Calls } from '../../src/fleet/calls.ts'
import type { PrimaryAnswers, WorkerAnswers } from '../../src/fleet/contract.ts'
import { ConsolesOfWorker, InputChanges, RemoteConsoles } from '../../src/fleet/shared-consoles.ts'
import type { Arbiter, ConsoleElsewhere } from '../../src/presence/elsewhere.ts'
import { LocalConsoles } from '../../src/presence/local-consoles.ts'
import { CONSOLE, participant, recordedPage } from '../presence/pages.ts'

/** Several workers whose messages arrive in later events, as over a pipe. */
function fleet() {
  const ended: string[] = []
  const askAll: ((id: string) => void)[] = []
  const local = new LocalConsoles({
    log: silentLogger(),
    endSession: (id) => {
      for (const end of askAll) end(id)
    },
  })
  const sharing = { changes: new InputChanges(), watching: new Set<object>() }
  /** @param events how many events later the messages to and from this worker arrive */
  const start = (name: string, events = 1, arbiter?: Arbiter) => {
    const later = (take: (message: unknown) => void) => (message: object) => {
      const copy = structuredClone(message)
      const wait = (left: number) => void setImmediate(() => (left > 1 ? wait(left - 1) : take(copy)))
      wait(events)
    }
    const consoles = new RemoteConsoles(
      () => worker,
      (id) => void ended.push(`${name} ${id}`),
      () => arbiter,
    )
    const member = new ConsolesOfWorker(local, () => primary, sharing)
    const worker: Calls<PrimaryAnswers> = new Calls(
      later((message) => primary.take(message)),
      consoles.answers,
    )
    const primary: Calls<WorkerAnswers> = new Calls(
      later((message) => worker.take(message)),
      member.answers,
    )
    askAll.push((id) => void primary.ask('leaveSession', id))
    return { consoles, worker, exit: () => member[Symbol.dispose]() }
  }
  return { one: start('one'), two: start('two'), slow: start('slow', 20), start, ended }
}

describe('a console that sessions at other proxies have open', () => {
  const elsewhere: ConsoleElsewhere = {
    ...{ instance: CONSOLE.instance, type: CONSOLE.type, revision: 1 },
    ...{ participants: [participant('zoe')], heldBy: 'zoe', ready: true, requestedBy: [] },
  }

  it('sends no input from any worker once one of them has learned that a session there has control', async () => {
    const { one, slow } = fleet()
    const [ann, bea] = [{ mayInput: true }, { mayInput: true }]
    await one.consoles.join(CONSOLE, participant('ann'), ann)
    await slow.consoles.join(CONSOLE, participant('bea'), bea)
    await one.consoles.show([elsewhere])
    expect([ann, bea].map(({ mayInput }) => mayInput)).toEqual([false, false])
    await slow.consoles.show(undefined)
    expect([ann, bea].map(({ mayInput }) => mayInput)).toEqual([false, false])
    await one.consoles.show(undefined)
    expect([ann, bea].map(({ mayInput }) => mayInput)).toEqual([true, true])
  })

  it('sends no input of a session that joins later, and asks the authority by way of its worker', async () => {
    const { start } = fleet()
    const asked: unknown[] = []
    const arbiter: Arbiter = {
      async ask(...question) {
        asked.push(question)
        return { ...elsewhere, revision: 2, heldBy: 'ann' }
      },
    }
    const [one, two] = [start('one', 1, arbiter), start('two')]
    await two.consoles.learn(elsewhere)
    const ann = { mayInput: true }
    await one.consoles.join(CONSOLE, participant('ann'), ann)
    expect(ann.mayInput).toBe(false)
    const page = (await one.consoles.attach('ann', recordedPage()))!
    expect(await page.request({ type: 'take_control' })).toBeUndefined()
    expect(asked).toEqual([['ann', { from: 'zoe', to: 'ann' }]])
    await expect.poll(() => ann.mayInput).toBe(true)
  })

  it('is decided here again once the only worker that the authority answered exits', async () => {
    const { one, two } = fleet()
    const ann = { mayInput: true }
    await one.consoles.join(CONSOLE, participant('ann'), ann)
    await two.consoles.show([elsewhere])
    expect(ann.mayInput).toBe(false)
    two.exit()
    await expect.poll(() => ann.mayInput).toBe(true)
  })

  it('is rejected as a malformed message of a worker', async () => {
    const { one } = fleet()
    for (const odd of [{}, { ...elsewhere, heldBy: 5 }, { ...elsewhere, participants: [{}] }]) {
      await expect(one.worker.ask('learnElsewhere', odd as never)).rejects.toThrow('malformed')
      await expect(one.worker.ask('showElsewhere', [odd] as never)).rejects.toThrow('malformed')
    }
  })
})

describe('a console with sessions in several workers', () => {
  it('switches their input before the answer to the request', async () => {
    const { one, two } = fleet()
    const [ann, bea, cid] = [{ mayInput: true }, { mayInput: true }, { mayInput: true }]
    await one.consoles.join(CONSOLE, participant('ann'), ann)
    await two.consoles.join(CONSOLE, participant('bea'), bea)
    await two.consoles.join(CONSOLE, participant('cid', 'watch'), cid)
    expect([ann, bea, cid].map(({ mayInput }) => mayInput)).toEqual([true, true, false])
    const page = (await one.consoles.attach('ann', recordedPage()))!
    expect(await page.request({ type: 'give_control', to: 'cid' })).toBeUndefined()
    expect(ann.mayInput).toBe(false)
    await expect.poll(() => [ann, bea, cid].map(({ mayInput }) => mayInput)).toEqual([false, false, true])
    expect(await page.request({ type: 'give_control', to: 'ann' })).toMatch(/^You do not have control/)
  })

  it('shows a page that it has control only after every worker has switched the inputs', async () => {
    const { one, slow } = fleet()
    const bea = { mayInput: true }
    await one.consoles.join(CONSOLE, participant('ann'), { mayInput: true })
    await slow.consoles.join(CONSOLE, participant('bea'), bea)
    const inputs: boolean[] = []
    const page = recordedPage()
    const show: typeof page.show = (view) => {
      if (view.control.held_by === 'ann') inputs.push(bea.mayInput)
    }
    await (await one.consoles.attach('ann', { ...page, show }))!.request({ type: 'take_control' })
    await expect.poll(() => inputs).toEqual([false])
  })

  it('keeps control when its machine moves, for a session that opens it there in another worker', async () => {
    const { one, two } = fleet()
    const late = { mayInput: true }
    await one.consoles.join(CONSOLE, participant('ann'), { mayInput: true })
    await (await one.consoles.attach('ann', recordedPage()))!.request({ type: 'take_control' })
    for (const { consoles } of [one, two]) consoles.move(CONSOLE, { host: 'there', port: 1 })
    await two.consoles.join({ ...CONSOLE, host: 'there', port: 1 }, participant('late'), late)
    expect(late.mayInput).toBe(false)
  })

  it('gives no input to a session that joins while another holds control', async () => {
    const { one, two } = fleet()
    const late = { mayInput: true }
    await one.consoles.join(CONSOLE, participant('ann'), { mayInput: true })
    await (await one.consoles.attach('ann', recordedPage()))!.request({ type: 'take_control' })
    await two.consoles.join(CONSOLE, participant('late'), late)
    expect(late.mayInput).toBe(false)
  })

  it('shows a page in one worker the state of its session in another, and ends it with that session', async () => {
    const { one, two } = fleet()
    const page = recordedPage()
    const seat = await one.consoles.join(CONSOLE, participant('ann'), { mayInput: true })
    const attached = await two.consoles.attach('ann', page)
    expect(page.views).toMatchObject([{ you: 'ann' }])
    await one.consoles.join(CONSOLE, participant('bea'), { mayInput: true })
    await expect.poll(() => page.views.at(-1)?.participants.map(({ id }) => id)).toEqual(['ann', 'bea'])
    seat.leave('idle')
    await expect.poll(() => page.ends).toEqual(['idle'])
    attached![Symbol.dispose]()
    expect(await two.consoles.attach('ann', page)).toBeUndefined()
  })

  it("ends a session at its page's request in the worker that has it", async () => {
    const { one, two, ended } = fleet()
    await one.consoles.join(CONSOLE, participant('ann'), { mayInput: true })
    await (await two.consoles.attach('ann', recordedPage()))!.request({ type: 'leave' })
    await expect.poll(() => ended).toContain('one ann')
  })

  it('frees control and ends the page when the worker of the holder exits', async () => {
    const { one, two } = fleet()
    const [page, bea] = [recordedPage(), { mayInput: true }]
    await one.consoles.join(CONSOLE, participant('ann'), { mayInput: true })
    await two.consoles.join(CONSOLE, participant('bea'), bea)
    const attached = (await two.consoles.attach('ann', page))!
    await attached.request({ type: 'take_control' })
    expect(bea.mayInput).toBe(false)
    one.exit()
    await expect.poll(() => bea.mayInput).toBe(true)
    await expect.poll(() => page.ends).toEqual(['proxy_error'])
  })

  it('accepts no malformed participant or request', async () => {
    const { one } = fleet()
    const nobody = { id: 'x', role: 'owner', sinceMs: 0 } as never
    await expect(one.worker.ask('joinConsole', CONSOLE, nobody)).rejects.toThrow('malformed')
    await expect(one.worker.ask('requestOfPage', 1, { type: 'seize' } as never)).rejects.toThrow('malformed')
  })
})
