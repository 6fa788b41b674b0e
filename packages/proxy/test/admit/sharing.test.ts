/** Who may have a console while others have it. */
import { type ConsoleRole, closeReasons } from '@oriel/contract'
import { describe, expect, it, vi } from 'vitest'
import { Sharing, type SharingRules, type Viewer } from '../../src/admit/sharing.ts'
import { INSTANCE, OTHER_TOKEN, open, running, shakeThen, upgrade } from '../fixture.ts'

const IN_USE = expect.objectContaining({ refusal: 'in_use' })
const ALICE: Viewer = { tokenDigest: 'a', instance: INSTANCE, client: '192.0.2.1', type: 'novnc' }
const BOB: Viewer = { ...ALICE, tokenDigest: 'b', client: '192.0.2.2' }

/** Seats `viewer`, and opens its session. */
function seated(sharing: Sharing, viewer: Viewer) {
  const seat = sharing.enter(viewer)
  const onTakenOver = vi.fn()
  seat.onTakenOver(onTakenOver)
  seat.opened()
  return { ...seat, leave: () => seat[Symbol.dispose](), onTakenOver }
}

describe('share = "shared"', () => {
  it('lets every viewer control a console, and ignores take_over', () => {
    const sharing = new Sharing({ share: 'shared', inUse: 'take_over' })
    const alice = seated(sharing, ALICE)
    seated(sharing, { ...BOB, takeOver: true })
    expect(alice.onTakenOver).not.toHaveBeenCalled()
  })
})

describe('share = "exclusive"', () => {
  const exclusive = (inUse: SharingRules['inUse'] = 'refuse') => new Sharing({ share: 'exclusive', inUse })

  it('refuses a second controlling viewer until the first leaves', () => {
    const sharing = exclusive()
    const alice = seated(sharing, ALICE)
    expect(() => sharing.enter(BOB)).toThrow(IN_USE)
    alice.leave()
    expect(() => sharing.enter(BOB)).not.toThrow()
  })

  it('counts a viewer from before its session opens', () => {
    const sharing = exclusive()
    sharing.enter(ALICE)
    expect(() => sharing.enter(BOB)).toThrow(IN_USE)
  })

  it.each<[string, SharingRules['inUse'], Viewer]>([
    ['that requests it', 'refuse', { ...BOB, takeOver: true }],
    ['if in_use is take_over', 'take_over', BOB],
    ['with the same token', 'refuse', { ...ALICE, client: '192.0.2.9' }],
  ])('ends the first session for a second viewer %s, but not before its session opens', (_, inUse, second) => {
    const sharing = exclusive(inUse)
    const alice = seated(sharing, ALICE)
    const seat = sharing.enter(second)
    expect(alice.onTakenOver).not.toHaveBeenCalled()
    seat.opened()
    expect(alice.onTakenOver).toHaveBeenCalledOnce()
  })

  it('tells the first viewer the label of the one who took over', () => {
    const sharing = exclusive()
    const alice = seated(sharing, ALICE)
    seated(sharing, { ...BOB, takeOver: true, label: 'Bob' })
    expect(alice.onTakenOver).toHaveBeenCalledWith('Bob')
  })

  it('gives the seat of a session that was taken over to the second viewer', () => {
    const sharing = exclusive()
    const alice = seated(sharing, ALICE)
    const bob = seated(sharing, { ...BOB, takeOver: true })
    alice.leave()
    expect(() => sharing.enter(ALICE)).toThrow(IN_USE)
    bob.leave()
    expect(() => sharing.enter(ALICE)).not.toThrow()
  })

  it('reports a takeover to a session that listens only afterwards', () => {
    const sharing = exclusive('take_over')
    const early = sharing.enter(ALICE)
    seated(sharing, BOB)
    const onTakenOver = vi.fn()
    early.onTakenOver(onTakenOver)
    expect(onTakenOver).toHaveBeenCalledOnce()
  })

  it.each<ConsoleRole[]>([
    ['watch', 'control'],
    ['control', 'watch'],
    ['watch', 'watch'],
  ])('lets a viewer with the role %s and one with the role %s have a console of VNC', (first, second) => {
    const sharing = exclusive()
    const alice = seated(sharing, { ...ALICE, role: first! })
    expect(() => seated(sharing, { ...BOB, role: second! })).not.toThrow()
    expect(alice.onTakenOver).not.toHaveBeenCalled()
  })

  it('does not apply between instances or between protocols', () => {
    const sharing = exclusive()
    sharing.enter(ALICE)
    expect(() => sharing.enter({ ...BOB, type: 'serial' })).not.toThrow()
    expect(() => sharing.enter({ ...BOB, instance: 'another' })).not.toThrow()
  })

  it('keeps the channels that one page opens with one token', () => {
    const sharing = exclusive()
    const main = seated(sharing, { ...ALICE, type: 'spice-html5' })
    seated(sharing, { ...ALICE, type: 'spice-html5' })
    expect(main.onTakenOver).not.toHaveBeenCalled()
  })
})

describe('a server that serves one viewer', () => {
  it.each(['shared', 'exclusive'] as const)(
    'refuses a watcher while another viewer is there, with share = %s',
    (share) => {
      const sharing = new Sharing({ share, inUse: 'take_over' })
      const alice = seated(sharing, { ...ALICE, type: 'spice-html5' })
      const watcher: Viewer = { ...BOB, type: 'spice-direct', role: 'watch', takeOver: true }
      expect(() => sharing.enter(watcher)).toThrow(IN_USE)
      alice.leave()
      expect(() => sharing.enter(watcher)).not.toThrow()
    },
  )

  it('refuses no controlling viewer because of a watcher', () => {
    const sharing = new Sharing({})
    seated(sharing, { ...BOB, type: 'spice-html5', role: 'watch' })
    expect(() => sharing.enter({ ...ALICE, type: 'spice-html5' })).not.toThrow()
  })
})

describe('sessions.share at a listener', () => {
  const exclusive = { toml: '[sessions]\nshare = "exclusive"' }

  it('refuses a second viewer with 409, and lets it take over with take_over=1 as taken_over', async () => {
    await using it = await running(exclusive)
    using first = await open(it.address)
    expect(await upgrade(it.address, `/?token=${OTHER_TOKEN}`)).toMatchObject({ status: 409 })
    using _second = await open(it.address, { path: `/?token=${OTHER_TOKEN}&take_over=1` })
    expect(await first.closed()).toMatchObject({ code: closeReasons.taken_over.code })
    expect(it.proxy.sessions()).toHaveLength(1)
  })

  it('lets the page of a session that still counts as open dial again with its token', async () => {
    await using it = await running(exclusive)
    using first = await open(it.address)
    using _again = await open(it.address)
    expect(await first.closed()).toMatchObject({ code: closeReasons.taken_over.code })
  })

  it('keeps the first session if the second viewer cannot be connected', async () => {
    let served = 0
    await using it = await running({
      ...exclusive,
      hypervisor: async (peer) => {
        served += 1
        if (served > 1) return peer.destroy()
        await shakeThen(peer, (guest) => guest.closed({ timeoutMs: 60_000 }))
      },
    })
    using _first = await open(it.address)
    expect(await upgrade(it.address, `/?token=${OTHER_TOKEN}&take_over=1`)).toMatchObject({ status: 502 })
    expect(it.proxy.sessions()).toHaveLength(1)
  })

  it('counts a session as taken over in the log', async () => {
    await using it = await running(exclusive)
    using first = await open(it.address)
    using _second = await open(it.address, { path: `/?token=${OTHER_TOKEN}&take_over=1` })
    await first.closed()
    await expect.poll(() => it.log.records('session ended')).toMatchObject([{ reason: 'taken_over' }])
  })
})
