/** Sessions whose machine moves to another host. */
import { randomBytes } from 'node:crypto'
import { type CloseReasonName, closeReasons } from '@oriel/contract'
import { type ScriptedServer, scriptedServer } from '@oriel/testkit'
import { describe, expect, it, vi } from 'vitest'
import type { LostConsole, Whereabouts } from '../../src/authority/authority.ts'
import { Moves, type MoveTimes } from '../../src/connect/moves.ts'
import { capture, INSTANCE, open, type Running, running, shakeThen } from '../fixture.ts'

const CONSOLE = { instance: INSTANCE, type: 'novnc', sessionId: 's1', host: 'compute-1', port: 5901 } as const
const HERE = { is: 'at', host: 'compute-1', port: 5901 } as const
const THERE = { is: 'at', host: 'compute-2', port: 5900 } as const
const [MOVING, OFF, GONE] = [{ is: 'moving' }, { is: 'off' }, { is: 'gone' }] as const
const UNKNOWN = { is: 'unknown' } as const

/** An authority that gives these answers in order, and repeats the last one. */
function answering(answers: readonly (Whereabouts | Error)[], times: Partial<MoveTimes> = { pauseMs: 1 }) {
  let asked = 0
  const locate = vi.fn(async (_: LostConsole) => {
    const answer = answers[Math.min(asked++, answers.length - 1)]!
    if (answer instanceof Error) throw answer
    return answer
  })
  const log = capture()
  const onResult = vi.fn()
  return { locate, log, onResult, moves: new Moves({ authority: { locate }, log: log.logger, times, onResult }) }
}

describe('a machine', () => {
  it.each<[string, readonly (Whereabouts | Error)[], 'moved' | 'switched_off' | undefined, string[]]>([
    ['has moved if its console has another address', [THERE], 'moved', ['arrived']],
    ['has moved if it is first migrated', [MOVING, MOVING, THERE], 'moved', ['arrived']],
    [
      'has moved if the authority fails while it is migrated',
      [MOVING, new Error('away'), UNKNOWN, THERE],
      'moved',
      ['arrived'],
    ],
    ['has moved if only the port is another', [{ ...HERE, port: 5902 }], 'moved', ['arrived']],
    ['has not moved if it is gone', [GONE], undefined, []],
    ['is switched off if the authority says so', [OFF], 'switched_off', []],
    ['is switched off if it is after a migration', [MOVING, OFF], 'switched_off', ['lost']],
    ['has not moved if it is gone after a migration', [MOVING, GONE], undefined, ['lost']],
    ['has not moved if its address is the same', [HERE, THERE], undefined, []],
    ['has not moved if a migration has failed', [MOVING, HERE], undefined, ['stayed']],
    ['has not moved if the authority knows no place at first', [UNKNOWN, THERE], undefined, []],
    ['has not moved if the authority fails at first', [new Error('away'), THERE], undefined, []],
  ])('%s', async (_, answers, fate, results) => {
    const { moves, onResult } = answering(answers)
    expect(await Promise.all([moves.fateOf(CONSOLE), moves.fateOf(CONSOLE)])).toEqual([fate, fate])
    expect(onResult.mock.calls).toEqual(results.map((result) => ['novnc', result]))
  })

  it('has not moved if it does not arrive before the deadline, and the log says so', async () => {
    const { moves, log, onResult } = answering([MOVING], { pauseMs: 1, deadlineMs: 20 })
    expect(await moves.fateOf(CONSOLE)).toBeUndefined()
    expect(onResult.mock.calls).toEqual([['novnc', 'lost']])
    expect(log.records('a machine that is being migrated has not arrived in time')).toMatchObject([
      { instance: INSTANCE },
    ])
  })

  it('has not moved if the authority does not answer in time', async () => {
    const locate = () => new Promise<never>(() => {})
    const moves = new Moves({ authority: { locate }, log: capture().logger, times: { answerMs: 1 } })
    expect(await moves.fateOf(CONSOLE)).toBeUndefined()
  })

  it('is looked for once for all its sessions, and anew for a later one', async () => {
    const { moves, locate } = answering([THERE])
    const all = await Promise.all(['s1', 's2', 's3'].map((sessionId) => moves.fateOf({ ...CONSOLE, sessionId })))
    expect([all, locate.mock.calls.length]).toEqual([['moved', 'moved', 'moved'], 1])
    await moves.fateOf(CONSOLE)
    expect(locate).toHaveBeenCalledTimes(2)
  })

  it('is looked for apart from the same machine at another address', async () => {
    const { moves, locate } = answering([THERE])
    await Promise.all([moves.fateOf(CONSOLE), moves.fateOf({ ...CONSOLE, port: 10_001 })])
    expect(locate).toHaveBeenCalledTimes(2)
  })
})

describe('a session whose connection to the console ends', () => {
  /** A proxy with an authority that gives these answers, and the code with which the session closes. */
  async function closing(answers: readonly Whereabouts[]): Promise<number> {
    const { locate } = answering(answers)
    const closesAtOnce = async () => {}
    await using it = await running({ guest: closesAtOnce, locate, moveTimes: { pauseMs: 1 } })
    using client = await open(it.address)
    return (await client.closed()).code
  }

  it.each<[string, readonly Whereabouts[], CloseReasonName]>([
    ['ends as moved once the machine is elsewhere', [MOVING, THERE], 'moved'],
    ['ends as switched off once the machine is off', [MOVING, OFF], 'switched_off'],
    ['ends as before if the machine is gone', [GONE], 'console_closed'],
  ])('%s', async (_, answers, reason) => {
    expect(await closing(answers)).toBe(closeReasons[reason].code)
  })

  it('ends at once if its client leaves while the machine moves', async () => {
    const asked = Promise.withResolvers<void>()
    const locate = () => {
      asked.resolve()
      return new Promise<never>(() => {})
    }
    await using it = await running({ guest: async () => {}, locate })
    using client = await open(it.address)
    await asked.promise
    client.ws.close()
    await client.closed()
    await expect.poll(() => it.log.records('session ended')).toMatchObject([{ reason: 'client_closed' }])
  })
})

describe('a machine that Nova migrates', () => {
  const server = { name: 'web-1', instanceName: 'instance-0000002a' }
  const addressOf = ({ host, port }: ScriptedServer) => ({ host, port })
  const atOldHost = (it: Running) => ({ ...server, consoles: { novnc: addressOf(it.hypervisor) } })

  /** A proxy whose page has a ticket, and Nova's state after the old host has closed the connection. */
  async function migrating() {
    const leaves = Promise.withResolvers<void>()
    const it = await running({ guest: () => leaves.promise, renew: true, moveTimes: { pauseMs: 1 } })
    it.nova.servers.set(INSTANCE, atOldHost(it))
    const key = randomBytes(16).toString('base64url')
    const client = await open(it.address, { protocols: ['binary', `oriel.page.${key}`] })
    const body = JSON.stringify({ key })
    const answer = await fetch(`http://${it.address}/oriel.resume`, { method: 'POST', body })
    const { ticket } = (await answer.json()) as { ticket: string }
    it.nova.servers.set(INSTANCE, { ...server, taskState: 'migrating', consoles: { novnc: 409 } })
    it.nova.tokens.clear()
    leaves.resolve()
    const asked = () => it.nova.requests.filter(({ url }) => url === `/v2.1/servers/${INSTANCE}`).length
    await expect.poll(asked).toBeGreaterThan(1)
    const resumes = { path: '/', protocols: ['binary', `oriel.ticket.${ticket}`] }
    return Object.assign(it, { client, resumes })
  }

  it('keeps its client until it has arrived, which comes back to the new host without its token', async () => {
    await using it = await migrating()
    await using target = await scriptedServer((peer) => shakeThen(peer, (guest) => guest.send(Buffer.from('here'))))
    expect(it.client.ws.readyState).toBe(it.client.ws.OPEN)
    it.nova.servers.set(INSTANCE, { ...server, consoles: { novnc: addressOf(target) } })
    expect((await it.client.closed()).code).toBe(closeReasons.moved.code)
    using again = await open(it.address, it.resumes)
    expect(await again.read(4)).toEqual(Buffer.from('here'))
  })

  it('is not looked for at its old port, where another guest may be, if the migration has failed', async () => {
    await using it = await migrating()
    it.nova.servers.set(INSTANCE, { ...atOldHost(it), vmState: 'error' })
    expect((await it.client.closed()).code).toBe(closeReasons.console_closed.code)
    expect(it.hypervisor.connections).toBe(1)
  })
})
