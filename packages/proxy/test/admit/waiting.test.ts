import { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { Waiting } from '../../src/admit/waiting.ts'

it('a settled connection keeps no listener of its slot', () => {
  const socket = new Socket()
  const before = socket.listenerCount('close')
  const waiting = new Waiting({ maxWaitingPerClient: 1 })
  waiting.arrive(socket)
  waiting.slotOf(socket)!.settled()
  expect(socket.listenerCount('close')).toBe(before)
  expect(waiting.slotOf(socket)).toBeUndefined()
})
