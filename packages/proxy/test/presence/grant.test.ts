import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ControlGrant, type ControlRequest, type Member } from '../../src/presence/grant.ts'

const moderator = (id: string): Member => ({ id, role: 'control' })
const guest = (id: string): Member => ({ id, role: 'control', invited: true })
const watcher = (id: string): Member => ({ id, role: 'watch', invited: true })

/** A console with these members, who act by their ids. */
function consoleOf(...members: Member[]) {
  const grant = new ControlGrant<Member>()
  for (const member of members) grant.join(member)
  const named = (id: string) => grant.members.find((member) => member.id === id)!
  return {
    grant,
    act: (id: string, request: ControlRequest) => grant.act(named(id), request),
    leave: (id: string) => grant.leave(named(id)),
    inControl: () => grant.members.filter((member) => grant.hasControl(member)).map(({ id }) => id),
  }
}

const TAKE = { type: 'take_control' } as const
const RELEASE = { type: 'release_control' } as const
const REQUEST = { type: 'request_control' } as const
const give = (to: string) => ({ type: 'give_control', to }) as const

describe('control of a console', () => {
  it('is with every session whose role is control, until one takes it', () => {
    const it = consoleOf(moderator('ann'), guest('bob'), watcher('cid'))
    expect(it.inControl()).toEqual(['ann', 'bob'])
    expect(it.act('bob', TAKE)).toEqual({ change: { how: 'taken', by: 'bob', from: null, to: 'bob' } })
    expect(it.inControl()).toEqual(['bob'])
  })

  it('stays with the holder when another session joins', () => {
    const it = consoleOf(moderator('ann'))
    it.act('ann', TAKE)
    it.grant.join(moderator('bea'))
    expect(it.inControl()).toEqual(['ann'])
  })

  it('is with all again when the holder releases it or leaves', () => {
    const it = consoleOf(moderator('ann'), moderator('bea'))
    it.act('ann', TAKE)
    expect(it.act('ann', RELEASE)).toEqual({ change: { how: 'released', by: 'ann', from: 'ann', to: null } })
    expect(it.inControl()).toEqual(['ann', 'bea'])
    it.act('ann', give('bea'))
    expect(it.leave('bea')).toEqual({ how: 'left', by: 'bea', from: 'bea', to: null })
    expect(it.inControl()).toEqual(['ann'])
  })

  it('can be given to a watcher, and leaves the giver without it', () => {
    const it = consoleOf(moderator('ann'), watcher('cid'))
    expect(it.act('ann', give('cid'))).toEqual({ change: { how: 'given', by: 'ann', from: null, to: 'cid' } })
    expect(it.inControl()).toEqual(['cid'])
    expect(it.act('cid', RELEASE)).toMatchObject({ change: { to: null } })
    expect(it.inControl()).toEqual(['ann'])
  })

  it('is taken from a watcher when the last session that could take it back leaves', () => {
    const it = consoleOf(moderator('ann'), guest('bob'), watcher('cid'))
    it.act('ann', give('cid'))
    expect(it.leave('ann')).toBeUndefined()
    expect(it.inControl()).toEqual(['cid'])
    expect(it.leave('bob')).toEqual({ how: 'left', by: 'bob', from: 'cid', to: null })
    expect(it.inControl()).toEqual([])
  })

  it('is not taken by a watcher, nor by a guest from a moderator', () => {
    const it = consoleOf(moderator('ann'), guest('bob'), watcher('cid'))
    expect(it.act('cid', TAKE)).toHaveProperty('objection')
    it.act('ann', TAKE)
    expect(it.act('bob', TAKE)).toHaveProperty('objection')
    expect(it.inControl()).toEqual(['ann'])
    expect(it.grant.members.map((member) => it.grant.mayTake(member))).toEqual([false, false, false])
  })

  it('is taken by a guest from a guest or a watcher, and by a moderator from a moderator', () => {
    const it = consoleOf(moderator('ann'), moderator('bea'), guest('bob'), guest('ben'), watcher('cid'))
    it.act('bob', TAKE)
    it.act('ben', TAKE)
    expect(it.inControl()).toEqual(['ben'])
    it.act('ben', give('cid'))
    it.act('bob', TAKE)
    expect(it.inControl()).toEqual(['bob'])
    it.act('ann', TAKE)
    it.act('bea', TAKE)
    expect(it.inControl()).toEqual(['bea'])
  })

  it('is given only by a session that has it, and only to another one that is there', () => {
    const it = consoleOf(moderator('ann'), moderator('bea'), watcher('cid'))
    it.act('ann', TAKE)
    for (const [by, to] of [
      ['bea', 'bea'],
      ['bea', 'cid'],
      ['cid', 'cid'],
      ['ann', 'ann'],
      ['ann', 'dan'],
    ] as const) {
      expect(it.act(by, give(to)), `${by} gives to ${to}`).toHaveProperty('objection')
    }
    expect(it.act('bea', RELEASE)).toHaveProperty('objection')
    expect(it.inControl()).toEqual(['ann'])
  })
})

describe('a request for control', () => {
  it('is listed once, in the order of the first request, until it is withdrawn', () => {
    const it = consoleOf(moderator('ann'), watcher('cid'), watcher('dan'))
    for (const id of ['dan', 'cid', 'dan']) expect(it.act(id, REQUEST)).toEqual({})
    expect(it.grant.requests.map(({ id }) => id)).toEqual(['dan', 'cid'])
    it.act('dan', { type: 'withdraw_request' })
    expect(it.grant.requests.map(({ id }) => id)).toEqual(['cid'])
  })

  it('is refused to a session that has control', () => {
    const it = consoleOf(moderator('ann'), watcher('cid'))
    expect(it.act('ann', REQUEST)).toHaveProperty('objection')
  })

  it('ends when its session gets control or leaves', () => {
    const it = consoleOf(moderator('ann'), moderator('bea'), watcher('cid'), watcher('dan'))
    it.act('ann', TAKE)
    for (const id of ['bea', 'cid', 'dan']) it.act(id, REQUEST)
    it.leave('cid')
    it.act('ann', RELEASE)
    expect(it.grant.requests.map(({ id }) => id)).toEqual(['dan'])
    it.act('ann', give('dan'))
    expect(it.grant.requests).toEqual([])
  })
})

describe('whatever sessions do', () => {
  const step = fc.record({
    who: fc.nat(5),
    to: fc.nat(5),
    what: fc.constantFrom(
      'join',
      'leave',
      'request_control',
      'withdraw_request',
      'give_control',
      TAKE.type,
      RELEASE.type,
    ),
    as: fc.constantFrom(moderator, guest, watcher),
  })

  it('at most one session holds control, and no session gets it without a right to it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const it = consoleOf()
        const present = (id: string) => it.grant.members.some((member) => member.id === id)
        for (const { who, to, what, as } of steps) {
          const [id, target] = [`s${who}`, `s${to}`]
          const before = { holder: it.grant.holder, had: it.inControl() }
          if (what === 'join') {
            if (!present(id)) it.grant.join(as(id))
          } else if (!present(id)) continue
          else if (what === 'leave') it.leave(id)
          else it.act(id, { type: what, to: target } as ControlRequest)
          expectRights(it, before, id, what)
        }
      }),
      { numRuns: 500 },
    )
  })

  function expectRights(
    { grant, inControl }: ReturnType<typeof consoleOf>,
    before: { holder: Member | undefined; had: string[] },
    by: string,
    what: string,
  ): void {
    const { holder, members } = grant
    const controllers = members.filter(({ role }) => role === 'control').map(({ id }) => id)
    expect(inControl()).toEqual(holder ? [holder.id] : controllers)
    if (holder) expect(members).toContain(holder)
    if (holder?.role === 'watch') expect(controllers).not.toEqual([])
    expect(grant.requests.filter((member) => grant.hasControl(member) || !members.includes(member))).toEqual([])
    if (holder === before.holder) return
    // A new holder got it from a session that had it, or took it with the right to do so.
    if (holder && holder.id === by) {
      expect(what).toBe('take_control')
      expect(holder.role).toBe('control')
      if (holder.invited) expect(before.holder === undefined || before.holder.invited).toBe(true)
    } else if (holder) {
      expect(what).toBe('give_control')
      expect(before.had).toContain(by)
    } else expect(what === 'leave' || (what === 'release_control' && before.holder?.id === by)).toBe(true)
  }
})
