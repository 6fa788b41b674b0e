/** Slots that another process counts, over a channel that may be slow. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Limits, type Slot } from '../../src/admit/limits.ts'
import { Calls } from '../../src/fleet/calls.ts'
import type { PrimaryAnswers, WorkerAnswers } from '../../src/fleet/contract.ts'
import { remoteSlots } from '../../src/fleet/worker.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const ENTRANT = { tokenDigest: 't', instance: 'i', client: 'c', type: 'novnc' as const }

/** A primary with one slot, whose replies are held back until `deliver`. */
function channel() {
  const limits = new Limits({ maxTotal: 1, maxPerToken: 9, maxPerInstance: 9, maxPerClient: 9 })
  const slots = new Map<number, Slot>()
  const held: unknown[] = []
  let slow = true
  const worker = new Calls<PrimaryAnswers>((message) => primary.take(message), {})
  const primary: Calls<WorkerAnswers> = new Calls(
    (message) => (slow ? void held.push(message) : worker.take(message)),
    {
      enter: (entrant: typeof ENTRANT) => {
        slots.set(1, limits.enter(entrant))
        return { slot: 1 }
      },
      leave: (slot: number) => {
        slots.get(slot)?.[Symbol.dispose]()
        slots.delete(slot)
      },
      opened: () => {},
    },
  )
  const deliver = () => {
    slow = false
    for (const message of held.splice(0)) worker.take(message)
  }
  return { worker, slots, deliver }
}

describe('a slot of the primary', () => {
  it("is released when the primary's reply is late", async () => {
    const { worker, slots, deliver } = channel()
    const entered = expect(remoteSlots(worker).enter(ENTRANT)).rejects.toThrow('no answer to enter')
    await vi.advanceTimersByTimeAsync(2_000)
    await entered
    expect(slots.size).toBe(1)
    deliver()
    await vi.advanceTimersByTimeAsync(0)
    expect(slots.size).toBe(0)
    using _place = await remoteSlots(worker).enter(ENTRANT)
  })

  it('is held when the primary replies in time, and released once', async () => {
    const { worker, slots, deliver } = channel()
    const entering = remoteSlots(worker).enter(ENTRANT)
    await vi.advanceTimersByTimeAsync(1_999)
    deliver()
    const slot = await entering
    await vi.advanceTimersByTimeAsync(10_000)
    expect(slots.size).toBe(1)
    slot[Symbol.dispose]()
    await vi.advanceTimersByTimeAsync(0)
    expect(slots.size).toBe(0)
  })

  it('carries the label of the viewer, for the one from whom it takes the console over', async () => {
    const entrants: unknown[] = []
    const ask = async () => undefined
    const askFor = async (_late: unknown, _name: string, entrant: unknown) => entrants.push(entrant) && { slot: 1 }
    const slots = remoteSlots({ ask, askFor } as unknown as Parameters<typeof remoteSlots>[0])
    const slot = await slots.enter({ ...ENTRANT, label: 'Bea', takeOver: true })
    expect(entrants).toMatchObject([{ label: 'Bea', takeOver: true }])
    const onTakenOver = vi.fn()
    slot.onTakenOver(onTakenOver)
    slots.takenOver(1, 'Cid')
    expect(onTakenOver).toHaveBeenCalledWith('Cid')
  })
})
