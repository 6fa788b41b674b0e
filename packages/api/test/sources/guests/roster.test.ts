import { expect, test } from 'vitest'
import type { ServerChange } from '../../../src/index.ts'
import type { Guest } from '../../../src/sources/guests/guest.ts'
import { Roster } from '../../../src/sources/guests/roster.ts'
import { SERVER_ID, server } from '../../support.ts'

const VNC = { host: '10.0.0.5', port: 5901 }
const guest = (changes: Partial<Guest> = {}): Guest => ({
  server: server(),
  live: true,
  consoles: { vnc: VNC },
  ...changes,
})
const off = guest({ live: false, consoles: {} })

/** Puts guests into locations, one after another, and returns the changes after the first. */
function reported(
  ...steps: readonly (readonly [location: string, guest: Guest | undefined])[]
): readonly ServerChange['kind'][] {
  const roster = new Roster()
  const [first, ...rest] = steps
  roster.set(...first!)
  const kinds: ServerChange['kind'][] = []
  using _ = roster.subscribe(({ serverId, kind }) => {
    expect(serverId).toBe(SERVER_ID)
    kinds.push(kind)
  })
  for (const step of rest) roster.set(...step)
  return kinds
}

const other = guest({ server: server({ projectId: 'another' }) })
const elsewhere = guest({ consoles: { vnc: { ...VNC, port: 5902 } } })
const more = guest({ consoles: { vnc: VNC, serial: VNC } })
test.each([
  [
    'nothing, while all stays',
    [
      ['a', guest()],
      ['a', guest()],
    ],
    [],
  ],
  [
    'nothing, when a console is added',
    [
      ['a', guest()],
      ['a', more],
    ],
    [],
  ],
  [
    'moved, when a console is taken away',
    [
      ['a', more],
      ['a', guest()],
    ],
    ['moved'],
  ],
  [
    'moved, at another address',
    [
      ['a', guest()],
      ['a', elsewhere],
    ],
    ['moved'],
  ],
  [
    'reassigned, to another owner',
    [
      ['a', guest()],
      ['a', other],
    ],
    ['reassigned'],
  ],
  [
    'moved, when a copy elsewhere takes over, even at the same address',
    [
      ['a', guest()],
      ['b', guest()],
      ['a', undefined],
    ],
    ['moved'],
  ],
  [
    'nothing, when a guest that runs has a second one beside it, whatever that does',
    [
      ['a', guest()],
      ['b', elsewhere],
      ['a', guest()],
      ['b', other],
      ['a', guest()],
      ['b', undefined],
    ],
    [],
  ],
  [
    'stopped, and nothing when it is gone thereafter',
    [
      ['a', guest()],
      ['a', off],
      ['a', undefined],
    ],
    ['stopped'],
  ],
  [
    'gone',
    [
      ['a', guest()],
      ['a', undefined],
    ],
    ['gone'],
  ],
  [
    'gone, when another guest is in its place',
    [
      ['a', guest()],
      ['a', guest({ server: server({ id: 'x' }) })],
    ],
    ['gone'],
  ],
  [
    'nothing of a copy that stands in',
    [
      ['a', guest()],
      ['b', guest({ standIn: true })],
      ['b', undefined],
    ],
    [],
  ],
  [
    'nothing of a copy that is off',
    [
      ['a', guest()],
      ['b', off],
      ['b', undefined],
    ],
    [],
  ],
] as const)('Roster reports %s', (_, steps, kinds) => {
  expect(reported(...steps)).toEqual(kinds)
})

test('Roster reports a second guest once, and again only after it was removed, and the first keeps the id', () => {
  const twins: unknown[] = []
  const roster = new Roster((twin) => twins.push(twin))
  const twin = { id: SERVER_ID, first: 'a', second: 'b' }
  for (const location of ['a', 'b', 'a', 'b', 'b', 'a']) roster.set(location, guest())
  expect(twins).toEqual([twin])
  expect(roster.find(SERVER_ID)?.location).toBe('a')
  expect(roster.list()).toHaveLength(1)
  roster.set('b', undefined)
  roster.set('b', guest())
  expect(twins).toEqual([twin, twin])
})

test('Roster lets a guest keep an id that it took over when the former owner runs again', () => {
  const roster = new Roster()
  roster.set('a', guest())
  roster.set('b', guest())
  roster.set('a', off)
  expect(roster.find(SERVER_ID)?.location).toBe('b')
  roster.set('a', guest())
  expect(roster.find(SERVER_ID)?.location).toBe('b')
})

test('Roster ignores events of a refused guest', () => {
  const changes: unknown[] = []
  const roster = new Roster()
  using _ = roster.subscribe((change) => changes.push(change))
  roster.set('a', guest())
  roster.set('b', guest())
  roster.stopped('b')
  expect(changes).toEqual([])
  roster.stopped('a')
  expect(changes).toEqual([{ serverId: SERVER_ID, kind: 'stopped' }])
})

test.each([
  ['a guest starts', undefined, more, 1],
  ['a guest is paused', more, guest({ server: server({ vmState: 'paused' }), consoles: more.consoles }), 1],
  ['a guest stops', more, off, 0],
  ['a guest is gone', more, undefined, 0],
  ['a guest waits for a migration', more, { ...more, standIn: true }, 0],
  ['a guest has another owner', more, { ...other, consoles: more.consoles }, 1],
])('lists the serial ports of running guests after %s', (_, before, after, ports) => {
  const roster = new Roster()
  let reports = 0
  using _subscription = roster.onSerialPorts(() => {
    reports += 1
  })
  roster.set('a', before)
  roster.set('a', after)
  expect(roster.serialPorts().map(({ address }) => address)).toEqual(Array(ports).fill(VNC))
  const isPaused = after?.server.vmState === 'paused'
  expect(reports).toBe(before && !isPaused ? 2 : 1)
})
