import { describe, expect, it } from 'vitest'
import { observeLeg, type TakeBytes } from '../../src/hypervisor/leg.ts'
import { scriptedLeg, viewerOf } from './scripted-leg.ts'

describe('an observed leg', () => {
  it('shows its bytes until the observer has seen enough, and passes all of them', () => {
    const scripted = scriptedLeg()
    const shown: string[] = []
    const viewer = viewerOf(observeLeg(scripted.leg, (bytes) => shown.push(bytes.toString()) < 2))
    for (const text of ['a', 'b', 'c']) scripted.say(Buffer.from(text))
    expect(shown).toEqual(['a', 'b'])
    expect(viewer.seen().toString()).toBe('abc')
  })

  it('hands the taker itself to the leg once the observer has seen enough', () => {
    const scripted = scriptedLeg()
    const takers: TakeBytes[] = []
    const take = (taker: TakeBytes) => {
      takers.push(taker)
      scripted.leg.take(taker)
    }
    const observed = observeLeg({ ...scripted.leg, take }, () => false)
    const relay: TakeBytes = () => true
    observed.take(relay)
    scripted.say(Buffer.from('a'))
    observed.take(relay)
    expect(takers.map((taker) => taker === relay)).toEqual([false, true, true])
  })
})
