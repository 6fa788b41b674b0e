/** Places that another process counts, over a channel that can be slow. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Limits, type Place } from '../../src/admit/limits.ts'
import { Calls } from '../../src/fleet/calls.ts'
import type { PrimaryAnswers, WorkerAnswers } from '../../src/fleet/contract.ts'
import { remotePlaces } from '../../src/fleet/worker.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const ENTRANT = { tokenDigest: 't', instance: 'i', client: 'c', type: 'novnc' as const }

/** A primary with one place, whose answers are held back until `deliver`. */
function channel() {
  const limits = new Limits({ maxTotal: 1, maxPerToken: 9, maxPerInstance: 9, maxPerClient: 9 })
  const places = new Map<number, Place>()
  const held: unknown[] = []
  let slow = true
  const worker = new Calls<PrimaryAnswers>((message) => primary.take(message), {})
  const primary: Calls<WorkerAnswers> = new Calls(
    (message) => (slow ? void held.push(message) : worker.take(message)),
    {
      enter: (entrant: typeof ENTRANT) => {
        places.set(1, limits.enter(entrant))
        return { place: 1 }
      },
      leave: (place: number) => {
        places.get(place)?.[Symbol.dispose]()
        places.delete(place)
      },
      opened: () => {},
    },
  )
  const deliver = () => {
    slow = false
    for (const message of held.splice(0)) worker.take(message)
  }
  return { worker, places, deliver }
}

describe('a place that the primary gives', () => {
  it('is given back when its answer comes too late', async () => {
    const { worker, places, deliver } = channel()
    const entered = expect(remotePlaces(worker).enter(ENTRANT)).rejects.toThrow('no answer to enter')
    await vi.advanceTimersByTimeAsync(2_000)
    await entered
    expect(places.size).toBe(1)
    deliver()
    await vi.advanceTimersByTimeAsync(0)
    expect(places.size).toBe(0)
    using _place = await remotePlaces(worker).enter(ENTRANT)
  })

  it('is held when its answer comes in time, and given back once', async () => {
    const { worker, places, deliver } = channel()
    const entering = remotePlaces(worker).enter(ENTRANT)
    await vi.advanceTimersByTimeAsync(1_999)
    deliver()
    const place = await entering
    await vi.advanceTimersByTimeAsync(10_000)
    expect(places.size).toBe(1)
    place[Symbol.dispose]()
    await vi.advanceTimersByTimeAsync(0)
    expect(places.size).toBe(0)
  })
})
