/** Control that proxies share, with a played API. */
import type { SharedConsole } from '@oriel/contract'
import { Conflict, ConnectionError, NotFound } from '@oriel/sdk'
import { describe, expect, it, vi } from 'vitest'
import { ControlWatch, type ControlWatchOptions } from '../../src/authority/shared-control.ts'
import type { ConsoleElsewhere } from '../../src/presence/elsewhere.ts'
import { capture } from '../fixture.ts'

type Oriel = ControlWatchOptions['oriel']
type Body = Parameters<Oriel['awaitSharedConsoles']>[0]['body']
type Answer = Awaited<ReturnType<Oriel['awaitSharedConsoles']>>

const since = '2026-11-29T12:00:00.000Z'
const shared = (changes: Partial<SharedConsole> = {}): SharedConsole => ({
  ...{ server_id: 'i', type: 'novnc', revision: 1, held_by: 'bea', ready: true, requested_by: ['cid'] },
  participants: [{ id: 'bea', role: 'control', label: null, since }],
  ...changes,
})
const state: ConsoleElsewhere = {
  ...{ instance: 'i', type: 'novnc', revision: 1, heldBy: 'bea', ready: true, requestedBy: ['cid'] },
  participants: [{ id: 'bea', role: 'control', sinceMs: Date.parse(since) }],
}
const details = { operation: 'moveControl', requestId: undefined, retryAfterSeconds: undefined }

/** A watch at an API whose waiting requests the test answers one by one. */
function watched({ move = async () => ({ console: shared() }) }: { move?: Oriel['moveControl'] } = {}) {
  const log = capture()
  const bodies: Body[] = []
  const shown: (readonly ConsoleElsewhere[] | undefined)[] = []
  const learned: ConsoleElsewhere[] = []
  let asked = Promise.withResolvers<PromiseWithResolvers<Answer>>()
  const oriel: Oriel = {
    moveControl: move,
    awaitSharedConsoles: ({ body }, { signal } = {}) => {
      bodies.push(body)
      const answer = Promise.withResolvers<Answer>()
      signal?.addEventListener('abort', () => answer.reject(signal.reason))
      asked.resolve(answer)
      return answer.promise
    },
  }
  const beats = { reportedMs: Number.NEGATIVE_INFINITY, wanted: 0 }
  const soon = () => {
    beats.wanted += 1
  }
  const beatsEvery = (intervalMs: number) => () => ({ ...beats, intervalMs, soon })
  const options = { oriel, proxyId: 'one', log: log.logger, retryMs: 1 }
  const watch = new ControlWatch({ ...options, beats: beatsEvery(5_000) })
  const impatient = new ControlWatch({ ...options, beats: beatsEvery(0) })
  for (const each of [watch, impatient])
    each.subscribe({ learn: (one) => void learned.push(one), show: (all) => void shown.push(all) })
  /** Waits for the next request, and answers it. */
  const answers = async (answer: Answer | Error) => {
    const next = await asked.promise
    asked = Promise.withResolvers()
    if (answer instanceof Error) next.reject(answer)
    else next.resolve(answer)
  }
  return { watch, impatient, answers, bodies, shown, learned, beats, log }
}

describe('control that proxies share', () => {
  it('costs no request until an admission or a heartbeat says that another proxy has a console open', async () => {
    const { watch, answers, bodies, shown, learned } = watched()
    await using _closing = watch
    await watch.admitted(undefined)
    expect(bodies).toEqual([])
    await watch.admitted(shared())
    expect(learned).toEqual([state])
    await answers({ version: 'v1', consoles: [shared()] })
    await expect.poll(() => bodies).toEqual([{}, { version: 'v1', wait_seconds: 10 }])
    expect(shown).toEqual([[state]])
    await answers({ version: 'v2', consoles: [] })
    await expect.poll(() => shown).toEqual([[state], []])
    expect(bodies).toHaveLength(2)
    watch.watch()
    await expect.poll(() => bodies).toHaveLength(3)
  })

  it('keeps the console of an admission over an answer that may be older, and asks again at once', async () => {
    const { watch, answers, bodies, shown } = watched()
    await using _closing = watch
    watch.watch()
    await expect.poll(() => bodies).toHaveLength(1)
    await watch.admitted(shared())
    await answers({ version: 'v1', consoles: [] })
    await expect.poll(() => bodies).toEqual([{}, {}])
    expect(shown).toEqual([[state]])
  })

  it('repeats a failed request, and keeps the known consoles', async () => {
    const { watch, answers, bodies, shown } = watched()
    await using _closing = watch
    watch.watch()
    await answers({ version: 'v1', consoles: [shared()] })
    await answers(new ConnectionError('network', 'down'))
    await expect.poll(() => bodies.at(-1)).toEqual({})
    expect(shown).toEqual([[state]])
  })

  it('decides alone once the API is silent for too long, until it answers again', async () => {
    const { impatient, answers, bodies, shown, beats, log } = watched()
    await using _closing = impatient
    impatient.watch()
    await answers(new ConnectionError('network', 'down'))
    beats.reportedMs = Number.POSITIVE_INFINITY
    await answers(new ConnectionError('network', 'down'))
    await expect.poll(() => bodies).toHaveLength(3)
    await answers({ version: 'v1', consoles: [shared()] })
    await expect.poll(() => shown).toEqual([undefined, [state]])
    const message = 'the authority does not answer about control of consoles, so this proxy decides alone'
    expect(log.records(message)).toHaveLength(1)
  })

  it('ignores an answer until the API knows of the sessions here again, since it may have counted them as lost', async () => {
    const { watch, answers, bodies, shown, beats } = watched()
    await using _closing = watch
    watch.watch()
    await answers({ version: 'v1', consoles: [shared()] })
    await answers(new ConnectionError('network', 'down'))
    await expect.poll(() => bodies).toHaveLength(3)
    beats.reportedMs = Number.POSITIVE_INFINITY
    await answers({ version: 'v2', consoles: [] })
    await expect.poll(() => beats.wanted).toBe(1)
    await answers({ version: 'v3', consoles: [shared({ held_by: 'ann' })] })
    await expect.poll(() => shown).toEqual([[state], [{ ...state, heldBy: 'ann' }]])
  })

  it('counts the time without an answer from the failure, not from the last answer', async () => {
    vi.useFakeTimers()
    try {
      const { watch, answers, shown } = watched()
      watch.watch()
      await answers({ version: 'v1', consoles: [shared()] })
      await vi.advanceTimersByTimeAsync(9_999)
      await answers(new ConnectionError('network', 'down'))
      await vi.advanceTimersByTimeAsync(6_000)
      await answers(new ConnectionError('network', 'down'))
      await vi.advanceTimersByTimeAsync(6_000)
      expect(shown).toEqual([[state]])
      await answers(new ConnectionError('network', 'down'))
      await vi.advanceTimersByTimeAsync(6_000)
      await answers(new ConnectionError('network', 'down'))
      await vi.advanceTimersByTimeAsync(6_000)
      expect(shown).toEqual([[state], undefined])
      await watch[Symbol.asyncDispose]()
    } finally {
      vi.useRealTimers()
    }
  })

  it('skips malformed entries of an answer', async () => {
    const { watch, answers, shown } = watched()
    await using _closing = watch
    watch.watch()
    const participants = [null, { id: 5 }, { id: 'x', role: 'root' }, ...shared().participants] as never
    const odd = [null, {}, { ...shared(), revision: 'one' }, shared({ participants })] as never
    await answers({ version: 'v1', consoles: odd })
    await expect.poll(() => shown).toEqual([[state]])
  })

  it('asks the API for a step, and watches a console that other proxies have open', async () => {
    const steps: unknown[] = []
    const { watch, bodies } = watched({
      move: async ({ proxy_id, body }) => {
        steps.push([proxy_id, body])
        return { console: shared() }
      },
    })
    await using _closing = watch
    expect(await watch.ask('ann', { from: null, to: 'ann' })).toEqual(state)
    expect(steps).toEqual([['one', { session_id: 'ann', from: null, to: 'ann' }]])
    expect(bodies).toEqual([{}])
  })

  it('does not decide with an older API, nor for a session that is over', async () => {
    for (const error of [
      new NotFound('No.', { status: 404, key: 'itemNotFound', ...details }),
      new Conflict('No.', { status: 409, key: 'conflictingRequest', ...details }),
    ]) {
      const { watch } = watched({ move: () => Promise.reject(error) })
      expect(await watch.ask('ann', { requests: true })).toBeUndefined()
    }
    const { watch } = watched({ move: () => Promise.reject(new ConnectionError('network', 'down')) })
    await expect(watch.ask('ann', { requests: true })).rejects.toThrow('down')
  })
})
