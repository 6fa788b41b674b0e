/** The holds of consoles that serve one connection, with a played API. */
import type { HeldPort } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import { BadRequest, Conflict, ConnectionError, NotFound } from '@oriel/sdk'
import { expect, it } from 'vitest'
import { PortHolds, type PortHoldsOptions } from '../../src/authority/port-holds.ts'
import { Refused } from '../../src/refused.ts'
import { capture } from '../fixture.ts'

type Oriel = PortHoldsOptions['oriel']

const held = (changes: Partial<HeldPort> = {}): HeldPort => ({
  ...{ hold_id: 'h1', ready: true, wait_seconds: 0, held_by: null },
  ...changes,
})
const elsewhere = held({
  ...{ hold_id: null, ready: false },
  held_by: {
    proxy_id: 'two',
    since: '2026-11-29T12:00:00.000Z',
    sessions: [
      { id: 's8', user_id: 'u', role: 'watch', label: null, started_at: '2026-11-29T12:00:00.000Z' },
      { id: 's9', user_id: 'u', role: 'control', label: 'Zoë', started_at: '2026-11-29T12:00:01.000Z' },
    ],
  },
})
const details = { operation: 'holdPort', requestId: undefined, retryAfterSeconds: undefined }
const notFound = new NotFound('No.', { status: 404, key: 'itemNotFound', ...details })
const malformed = new BadRequest('No.', { status: 400, key: 'badRequest', ...details })
const conflict = new Conflict('No.', { status: 409, key: 'conflictingRequest', ...details })

/** Plays the API: each list has the answers to one route in turn, and the last one for ever. */
function played({
  claims = [held()],
  shows = [held()],
  groups = [],
}: {
  claims?: (HeldPort | Error)[]
  shows?: (HeldPort | Error)[]
  groups?: Error[]
}) {
  const calls: unknown[] = []
  const nextGroup = () => {
    const error = groups.shift()
    if (error) throw error
    return null
  }
  const next = async (answers: (HeldPort | Error)[]) => {
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!
    if (answer instanceof Error) throw answer
    return { port: answer }
  }
  const oriel: Oriel = {
    groupProxy: async ({ body }) => {
      calls.push(['group', body.group])
      return nextGroup()
    },
    holdPort: ({ body }) => {
      calls.push(['hold', body])
      return next(claims)
    },
    showPort: ({ hold_id }) => {
      calls.push(['show', hold_id])
      return next(shows)
    },
    releasePort: async ({ hold_id }) => {
      calls.push(['release', hold_id])
      return null
    },
  }
  const log: Logger = capture().logger
  const refusedBy = (cause: unknown) => new Refused('authority_unavailable', 'no answer', { cause })
  return { calls, holds: new PortHolds({ oriel, proxyId: 'one', group: 'g', refusedBy, timeoutMs: 1_000, log }) }
}

const signal = new AbortController().signal
const claim = { sessionId: 's1', takeOver: false }

it('holds a port until its disposal, which releases it once', async () => {
  const { calls, holds } = played({})
  const hold = await holds.hold(claim, signal)
  expect(calls).toEqual([['hold', { session_id: 's1' }]])
  hold[Symbol.dispose]()
  hold[Symbol.dispose]()
  expect(calls.slice(1)).toEqual([['release', 'h1']])
})

it('refuses a session while another proxy holds the port, and names the label of its session', async () => {
  const { calls, holds } = played({ claims: [elsewhere] })
  const refused = await holds.hold(claim, signal).catch((error) => error)
  expect(refused).toMatchObject({ refusal: 'in_use', by: 'Zoë', message: expect.stringMatching(/^two .*s8, s9$/) })
  expect(calls).toHaveLength(1)
})

it('asks again while the holder may be lost, and refuses the session once the holder reports', async () => {
  const maybe = { ...elsewhere, wait_seconds: 10 }
  const { calls, holds } = played({ claims: [maybe, maybe, held()] })
  using _hold = await holds.hold(claim, signal)
  expect(calls).toHaveLength(3)
  const refusing = played({ claims: [maybe, elsewhere] })
  await expect(refusing.holds.hold(claim, signal)).rejects.toMatchObject({ refusal: 'in_use' })
  expect(refusing.calls).toHaveLength(2)
})

it('waits until the earlier holder has closed the port, also while the API does not answer', async () => {
  const pending = held({ ready: false, wait_seconds: 20 })
  const shows = [pending, new ConnectionError('network', 'no answer'), held()]
  const { calls, holds } = played({ claims: [pending], shows })
  using _hold = await holds.hold({ ...claim, takeOver: true }, signal)
  expect(calls).toEqual([
    ['hold', { session_id: 's1', take_over: true }],
    ...Array.from({ length: 3 }, () => ['show', 'h1']),
  ])
})

it('refuses a session, and releases its hold, if the earlier holder does not close the port in time', async () => {
  const pending = held({ ready: false, wait_seconds: 0 })
  const { calls, holds } = played({ claims: [pending], shows: [pending] })
  await expect(holds.hold(claim, signal)).rejects.toMatchObject({ refusal: 'in_use' })
  expect(calls.at(-1)).toEqual(['release', 'h1'])
})

it('refuses a session that lost its hold while it waited', async () => {
  const claims = [held({ ready: false, wait_seconds: 20 })]
  const { holds } = played({ claims, shows: [conflict] })
  await expect(holds.hold(claim, signal)).rejects.toMatchObject({ refusal: 'in_use' })
})

it('releases the hold of a client that leaves while it waits', async () => {
  const left = new AbortController()
  const { calls, holds } = played({ claims: [held({ ready: false, wait_seconds: 20 })] })
  const holding = holds.hold(claim, left.signal)
  left.abort(new Error('the client left'))
  await expect(holding).rejects.toThrow('the client left')
  await holds[Symbol.asyncDispose]()
  await expect.poll(() => calls.at(-1)).toEqual(['release', 'h1'])
})

it.each([
  ['opens without a hold for an API that does not know ports', notFound, undefined],
  ['refuses a session that has ended meanwhile', conflict, 'unknown_token'],
  ['refuses a session while the API does not answer', new ConnectionError('network', 'x'), 'authority_unavailable'],
])('%s', async (_, error, refusal) => {
  const { calls, holds } = played({ claims: [error] })
  const outcome = await holds.hold(claim, signal).catch((refused) => refused)
  expect(outcome.refusal).toBe(refusal)
  if (!refusal) outcome[Symbol.dispose]()
  expect(calls).toHaveLength(1)
})

it('releases at once what it does not hold, and nothing else, when the API names lost holds', async () => {
  const { calls, holds } = played({})
  using _hold = await holds.hold(claim, signal)
  holds.lost(['h1', 'of-an-earlier-run', 7])
  expect(calls.slice(1)).toEqual([['release', 'of-an-earlier-run']])
})

it('names the group of its processes once the API has answered, and never again', async () => {
  const { calls, holds } = played({ groups: [new ConnectionError('network', 'no answer')] })
  for (let i = 0; i < 3; i += 1) await holds.join()
  expect(calls).toEqual([
    ['group', 'g'],
    ['group', 'g'],
  ])
})

it('holds the serial port of a server to which the proxy stays attached', async () => {
  const { calls, holds } = played({})
  using _hold = await holds.hold({ instance: 'i1' }, signal)
  expect(calls).toEqual([['hold', { server_id: 'i1', type: 'serial' }]])
})

it('is not held for one session with an API that knows ports alone, which refuses that as malformed', async () => {
  const { holds, calls } = played({ claims: [malformed] })
  using _nothing = await holds.hold({ ...claim, exclusive: true }, signal)
  expect(calls).toEqual([['hold', { session_id: 's1', exclusive: true }]])
  await expect(holds.hold(claim, signal)).rejects.toMatchObject({ refusal: 'unknown_token' })
})
