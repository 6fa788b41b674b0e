import { expect, it } from 'vitest'
import type { OpenSession } from '../../src/session/open-session.ts'
import { Sessions } from '../../src/session/sessions.ts'

it('drains only the sessions that were open when it began, and drops those that opened meanwhile', async () => {
  const sessions = new Sessions()
  const dropped: string[] = []
  const session = (id: string, end: () => void = () => {}) =>
    ({ id, end, terminate: () => dropped.push(id) }) as unknown as OpenSession
  const late = session('late')
  const early: OpenSession = session('early', () => {
    sessions.add(late)
    sessions.remove(early)
  })
  sessions.add(early)
  await sessions.drain(60_000)
  expect(dropped).toEqual(['late'])
})
