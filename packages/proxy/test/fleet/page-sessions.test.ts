/** The pages' sessions of several workers, each over a channel of its own to the primary. */
import { describe, expect, it } from 'vitest'
import { Calls } from '../../src/fleet/calls.ts'
import type { PrimaryAnswers, WorkerAnswers } from '../../src/fleet/contract.ts'
import { PagesOfWorker, remotePageSessions } from '../../src/fleet/page-sessions.ts'
import { OpenPages, type PageSession } from '../../src/session/page-sessions.ts'

const SESSION: PageSession = {
  id: 's',
  facts: { tokenDigest: 't', instance: 'i', client: 'c', type: 'novnc', role: 'watch', label: 'Bob', listener: 'l' },
  inviter: 'worker-1',
}

function worker(pages: OpenPages) {
  const member = new PagesOfWorker(pages)
  const calls: Calls<PrimaryAnswers> = new Calls((message) => primary.take(structuredClone(message)), {})
  const primary: Calls<WorkerAnswers> = new Calls((message) => calls.take(structuredClone(message)), member.answers)
  return { sessions: remotePageSessions(calls), calls, exit: () => member[Symbol.dispose]() }
}

describe('the pages of several workers', () => {
  it('are found from another worker until the session ends', async () => {
    const pages = new OpenPages()
    const [one, two] = [worker(pages), worker(pages)]
    const added = await one.sessions.add('digest', SESSION)
    expect(await two.sessions.find('digest')).toEqual(SESSION)
    expect(await two.sessions.find('other')).toBeUndefined()
    added[Symbol.dispose]()
    await expect.poll(() => two.sessions.find('digest')).toBeUndefined()
  })

  it('are removed when their worker exits', async () => {
    const pages = new OpenPages()
    const [one, two] = [worker(pages), worker(pages)]
    await one.sessions.add('digest', SESSION)
    await two.sessions.add('of-two', SESSION)
    one.exit()
    expect(await two.sessions.find('digest')).toBeUndefined()
    expect(await two.sessions.find('of-two')).toEqual(SESSION)
  })

  it('cannot be added in another form', async () => {
    const { calls, sessions } = worker(new OpenPages())
    const noFacts = { id: 's' } as unknown as PageSession
    await expect(calls.ask('addPage', 'digest', noFacts)).rejects.toThrow('the page session is malformed')
    expect(await sessions.find('digest')).toBeUndefined()
  })
})
