/** When the relay returns the memory of output. The relay through a running proxy is tested in session.test.ts. */
import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { WebSocket } from 'ws'
import { allocatePayload } from '../../src/hypervisor/read-buffers.ts'
import { BufferBudget } from '../../src/session/buffer-budget.ts'
import { Relay } from '../../src/session/relay.ts'
import { scriptedLeg } from '../hypervisor/scripted-leg.ts'

const NOTHING = Buffer.alloc(0)
const READ_BYTES = 100

/** A relay to a client whose system takes bytes when `takeOne` is called, or at once. */
function relaying({ atOnce }: { atOnce: boolean }) {
  const console = scriptedLeg()
  const waiting: (() => void)[] = []
  const stream = new Writable({
    write: (_, _encoding, taken) => {
      if (atOnce) taken()
      else waiting.push(taken)
    },
  })
  const client = Object.assign(new EventEmitter(), { OPEN: 1, readyState: 1 }) as unknown as WebSocket
  const budget = new BufferBudget(READ_BYTES)
  const options = { acceptsText: false, stalledAfterMs: 60_000, stream, budget, end: () => {} }
  const relay = new Relay(console.leg, client, options)
  relay.start({ fromHypervisor: NOTHING, fromClient: NOTHING })
  return { console, relay, budget, takeOne: () => waiting.shift()!() }
}

describe('the memory of output', () => {
  it('is returned before the next read if the system takes the bytes at once, and only then', async () => {
    const { console } = relaying({ atOnce: true })
    console.say(allocatePayload(READ_BYTES))
    expect(console.lent()).toBe(0)
    // The leg throws if the callback of the write returns them again.
    await new Promise(setImmediate)
    console.say(allocatePayload(READ_BYTES))
    expect(console.lent()).toBe(0)
  })

  it('stays lent until the system has taken the bytes, also for those that came later', async () => {
    const { console, takeOne } = relaying({ atOnce: false })
    console.say(allocatePayload(READ_BYTES))
    console.say(allocatePayload(READ_BYTES))
    expect(console.lent()).toBe(2 * READ_BYTES)
    takeOne()
    await expect.poll(console.lent).toBe(READ_BYTES)
    takeOne()
    await expect.poll(console.lent).toBe(0)
  })

  it('leaves the budget with a session that is dropped, whatever its leg counts as lent', async () => {
    const { console, relay, budget, takeOne } = relaying({ atOnce: false })
    const bytes = allocatePayload(READ_BYTES)
    console.say(bytes)
    expect(budget.bytes).toBe(bytes.buffer.byteLength)
    expect(budget.bytes).toBeGreaterThan(console.lent())
    relay.drop()
    expect(budget.bytes).toBe(0)
    takeOne()
    await expect.poll(console.lent).toBe(0)
    expect(budget.bytes).toBe(0)
  })
})
