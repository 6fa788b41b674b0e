import { describe, expect, it } from 'vitest'
import { UpdatePacing } from '../../src/rfb/update-pacing.ts'

/** A way to a client: a slow link with a queue before it, then a delay. All in milliseconds and bytes per millisecond. */
interface Way {
  readonly roundTripMs: number
  readonly rate: number
  /** How long the client takes to process an update. */
  readonly clientMs?: number
  /** How long the hypervisor takes to encode an update. */
  readonly encodeMs?: number
}

/** An event of the simulation. */
interface Event {
  readonly atMs: number
  run(): void
}

const QEMU_LOOKS_EVERY_MS = 30

/**
 * Plays a hypervisor whose screen always changes, and which answers a request when it next looks at its screen. Returns the
 * rate of updates, and the most that waited before the slow link, once the first 2 seconds are over.
 */
function simulate(pacing: UpdatePacing, way: Way, updateBytes: (nowMs: number) => number, forMs = 10_000) {
  const events: Event[] = []
  const seen = { updates: 0, mostQueuedMs: 0 }
  let [nowMs, linkFreeMs, clientFreeMs, isRequested] = [0, 0, 0, true]
  const at = (atMs: number, run: () => void) => void events.push({ atMs, run })
  const carry = (bytes: number): number => {
    linkFreeMs = Math.max(linkFreeMs, nowMs) + bytes / way.rate
    return linkFreeMs + way.roundTripMs / 2
  }
  const fence = (bytes: number, arrivesMs: number, clientMs: number) => {
    const id = pacing.fence(bytes, nowMs, nowMs)
    clientFreeMs = Math.max(clientFreeMs, arrivesMs) + clientMs
    at(clientFreeMs + way.roundTripMs / 2, () => {
      pacing.returned(id, nowMs)
      requestWhenDue()
    })
  }
  const requestWhenDue = () => {
    if (isRequested) return
    const waitMs = pacing.waitMs(nowMs)
    if (waitMs > 0 && waitMs < Number.POSITIVE_INFINITY) at(nowMs + waitMs, requestWhenDue)
    if (waitMs > 0) return
    isRequested = true
    pacing.requested(nowMs)
  }
  const look = () => {
    at(nowMs + QEMU_LOOKS_EVERY_MS, look)
    if (!isRequested) return
    isRequested = false
    at(nowMs + (way.encodeMs ?? 0), update)
  }
  const update = () => {
    const bytes = updateBytes(nowMs)
    if (nowMs > 2000) {
      seen.updates += 1
      seen.mostQueuedMs = Math.max(seen.mostQueuedMs, linkFreeMs - nowMs)
    }
    if (pacing.wantsProbe(nowMs)) fence(0, carry(0), 0)
    fence(bytes, carry(bytes), way.clientMs ?? 0)
    requestWhenDue()
  }
  fence(0, carry(18), 0)
  at(0, look)
  while (nowMs < forMs) {
    events.sort((a, b) => a.atMs - b.atMs)
    const event = events.shift()!
    nowMs = event.atMs
    event.run()
  }
  return { perSecond: (seen.updates * 1000) / (forMs - 2000), mostQueuedMs: seen.mostQueuedMs }
}

const MBIT = 125
const always = (bytes: number) => () => bytes

describe('the pacing of updates', () => {
  it.each([0, 20, 80, 200, 400])('hides a round trip of %i ms', (roundTripMs) => {
    const { perSecond } = simulate(new UpdatePacing(60), { roundTripMs, rate: 100 * MBIT }, always(12_000))
    expect(perSecond).toBeGreaterThan(32)
  })

  it.each([20, 80, 200])(
    'queues nothing on a link that updates saturate, with a round trip of %i ms',
    (roundTripMs) => {
      const { perSecond, mostQueuedMs } = simulate(
        new UpdatePacing(60),
        { roundTripMs, rate: 10 * MBIT },
        always(102_000),
      )
      // Each takes 82 ms, after which QEMU needs up to 30 ms to look at its screen.
      expect(perSecond).toBeGreaterThan(8)
      expect(mostQueuedMs).toBeLessThanOrEqual(roundTripMs / 2)
    },
  )

  it.each([
    { encodeMs: 2, clientMs: 2, least: 11, most: 11.2 },
    { encodeMs: 10, clientMs: 10, least: 9, most: 11.2 },
    { encodeMs: 20, clientMs: 20, least: 8, most: 11.2 },
  ])(
    'misses few looks of QEMU on that link with $encodeMs ms for encoding and decoding',
    ({ least, most, ...times }) => {
      const way = { roundTripMs: 20, rate: 10 * MBIT, ...times }
      const { perSecond } = simulate(new UpdatePacing(30), way, always(102_300), 60_000)
      expect(perSecond).toBeGreaterThanOrEqual(least)
      expect(perSecond).toBeLessThanOrEqual(most)
    },
  )

  it('still queues nothing after a minute in which no fence returned without an update before it', () => {
    const way = { roundTripMs: 100, rate: 10 * MBIT }
    const { mostQueuedMs } = simulate(new UpdatePacing(60), way, always(102_000), 60_000)
    expect(mostQueuedMs).toBeLessThanOrEqual(60)
  })

  it('measures the delay alone when the link is empty and the last measurement is 2 seconds old', () => {
    const pacing = new UpdatePacing(60)
    pacing.returned(pacing.fence(0, 0, 0), 20)
    expect(pacing.wantsProbe(2000)).toBe(false)
    expect(pacing.wantsProbe(2021)).toBe(true)
    pacing.fence(1000, 2021, 2021)
    expect(pacing.wantsProbe(2020)).toBe(false)
  })

  it('awaits an update that is much larger than any before', () => {
    const pacing = new UpdatePacing(60)
    pacing.returned(pacing.fence(1000, 0, 0), 20)
    const large = pacing.fence(100_000, 30, 30)
    expect(pacing.waitMs(50)).toBe(Number.POSITIVE_INFINITY)
    pacing.returned(large, 130)
    expect(pacing.waitMs(130)).toBe(0)
    pacing.fence(150_000, 140, 140)
    expect(pacing.waitMs(150)).toBeGreaterThan(50)
    expect(pacing.waitMs(150)).toBeLessThan(200)
  })

  it('queues at most one update that is larger than those before', () => {
    let updates = 0
    const sizes = () => {
      updates += 1
      return updates % 40 < 30 ? 500 : 50_000
    }
    const { mostQueuedMs } = simulate(new UpdatePacing(60), { roundTripMs: 80, rate: 5 * MBIT }, sizes, 30_000)
    expect(mostQueuedMs).toBeLessThanOrEqual(80 + 40)
  })

  it('follows a client that processes slowly', () => {
    const way = { roundTripMs: 20, rate: 100 * MBIT, clientMs: 200 }
    const { perSecond } = simulate(new UpdatePacing(60), way, always(5000))
    expect(perSecond).toBeGreaterThan(3)
    expect(perSecond).toBeLessThanOrEqual(5.2)
  })

  it('keeps to the maximum rate', () => {
    const { perSecond } = simulate(new UpdatePacing(10), { roundTripMs: 20, rate: 100 * MBIT }, always(5000))
    expect(perSecond).toBeGreaterThan(9)
    expect(perSecond).toBeLessThanOrEqual(10.5)
  })

  it('waits for a client that returns no fence', () => {
    const pacing = new UpdatePacing(60)
    pacing.returned(pacing.fence(0, 0, 0), 20)
    pacing.fence(1000, 100, 100)
    expect(pacing.waitMs(100)).toBe(0)
    expect(pacing.waitMs(100 + 20 + 100)).toBe(0)
    expect(pacing.waitMs(100 + 20 + 101)).toBe(Number.POSITIVE_INFINITY)
  })

  it('requests nothing before the first fence has returned', () => {
    const pacing = new UpdatePacing(60)
    const first = pacing.fence(0, 0, 0)
    expect(pacing.waitMs(1000)).toBe(Number.POSITIVE_INFINITY)
    pacing.returned(first, 1000)
    expect(pacing.waitMs(1000)).toBe(0)
  })

  it('ignores fences that it has not sent, and repeated ones', () => {
    const pacing = new UpdatePacing(60)
    const first = pacing.fence(0, 0, 0)
    pacing.returned(99, 1)
    expect(pacing.unreturned).toBe(1)
    pacing.returned(first, 2)
    pacing.returned(first, 3)
    expect(pacing.unreturned).toBe(0)
  })

  it('measures a way that has become longer anew', () => {
    const pacing = new UpdatePacing(60)
    const trip = (atMs: number, tookMs: number) => pacing.returned(pacing.fence(0, atMs, atMs), atMs + tookMs)
    trip(0, 20)
    trip(12_000, 200)
    trip(23_000, 200)
    pacing.fence(100, 24_000, 24_000)
    expect(pacing.waitMs(24_000 + 250)).toBe(0)
  })
})
