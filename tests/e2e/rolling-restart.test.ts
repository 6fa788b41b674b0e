/** A fleet whose programs are replaced one at a time, under load. `npm run upgrade-test` does the same with another version. */
import { requires } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { programFile } from './parts/oriel.ts'
import { DRAINING, startFleet, startLoad } from './parts/rolling-fleet.ts'

const RESTARTING = '1001 The console proxy is restarting.'
const { skip, reason } = requires('haproxy', 'postgres')
const CURRENT = { name: 'this version', api: programFile('api'), proxy: programFile('proxy') }

describe.skipIf(skip)(`two apis and two proxies behind HAProxy that are restarted one at a time${reason}`, () => {
  it('keep every created token, refuse no request, and let all open consoles come back', async () => {
    await using fleet = await startFleet(CURRENT)
    const load = await startLoad(fleet)
    await fleet.replace(CURRENT)
    const { minted, failedRequests, closes, failedDials, echoes } = await load.finish()
    expect({ failedRequests, failedDials }).toEqual({ failedRequests: [], failedDials: [] })
    // Each console was open at one of the two proxies, and may have moved to the one that was restarted later.
    expect(closes.get(RESTARTING)).toBeGreaterThanOrEqual(50)
    expect([...closes.keys()].filter((reason) => reason !== RESTARTING && reason !== DRAINING)).toEqual([])
    expect(minted).toBeGreaterThan(50)
    expect(echoes).toBeGreaterThan(50)
  })
})
