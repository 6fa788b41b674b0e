import { describe, expect, test, vi } from 'vitest'
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
  const roster = new Roster({ onTwin: (twin) => twins.push(twin) })
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

describe('a guest that stops and may restart', () => {
  const RESTART_MS = 5_000
  const NEIGHBOUR = '0b2b2e44-e561-464c-88f3-2fc6a1ecea2b'
  const serial = guest({ consoles: { serial: VNC } })
  const neighbour = (consoles: Guest['consoles'], changes: Partial<Guest['server']> = {}) =>
    guest({ server: server({ id: NEIGHBOUR, ...changes }), consoles })

  /** A roster whose guest runs in location `a`, and the changes that it reports. */
  function bench(first = guest()) {
    vi.useFakeTimers()
    const roster = new Roster({ restartMs: RESTART_MS })
    roster.set('a', first)
    const changes: ServerChange[] = []
    const subscription = roster.subscribe((change) => changes.push(change))
    return {
      roster,
      kinds: () => changes.map(({ kind }) => kind),
      [Symbol.dispose]() {
        subscription[Symbol.dispose]()
        roster[Symbol.dispose]()
        vi.useRealTimers()
      },
    }
  }

  test.each([
    ['gone, after it has left', undefined, 'gone'],
    ['stopped, after it was off', off, 'stopped'],
  ] as const)('is reported as %s, once the time for a restart is over', (_, after, kind) => {
    using one = bench()
    one.roster.set('a', after)
    expect(one.roster.mayRestart(SERVER_ID)).toBe(true)
    vi.advanceTimersByTime(RESTART_MS - 1)
    expect(one.kinds()).toEqual([])
    vi.advanceTimersByTime(1)
    expect(one.kinds()).toEqual([kind])
    expect(one.roster.mayRestart(SERVER_ID)).toBe(false)
    one.roster.set('b', guest())
    expect(one.kinds()).toEqual([kind])
  })

  test.each([
    ['in the same process', 'a', off],
    ['in another process', 'b', undefined],
  ] as const)('is not reported if it runs again %s', (_, location, after) => {
    using one = bench()
    one.roster.set('a', after)
    one.roster.set(location, guest())
    expect(one.roster.mayRestart(SERVER_ID)).toBe(false)
    vi.advanceTimersByTime(RESTART_MS)
    expect(one.kinds()).toEqual([])
  })

  test.each([
    ['reassigned, at once, under another owner', other, 'reassigned'],
    ['moved, at once, at another address', elsewhere, 'moved'],
    ['gone, at once, under another name', guest({ server: server({ name: 'other' }) }), 'gone'],
  ] as const)('is reported as %s', (_, again, kind) => {
    using one = bench()
    one.roster.set('a', undefined)
    one.roster.set('b', again)
    expect(one.kinds()).toEqual([kind])
    vi.advanceTimersByTime(RESTART_MS)
    expect(one.kinds()).toEqual([kind])
  })

  test.each([
    ['after it has stopped', ['a', 'b']],
    ['before its stop was noticed', ['b', 'a']],
  ] as const)('is reported as gone as soon as another guest has its port, seen %s', (_, order) => {
    using one = bench()
    const steps = { a: undefined, b: neighbour({ serial: { host: '10.0.0.77', port: VNC.port } }) }
    for (const location of order) one.roster.set(location, steps[location])
    expect(one.kinds()).toEqual(['gone'])
  })

  test.each([
    ['of another port', neighbour({ vnc: { ...VNC, port: 5902 } })],
    ['of the same port on another host', neighbour({ vnc: VNC }, { host: 'compute-2' })],
    ['that is off', { ...neighbour({ vnc: VNC }), live: false }],
  ])('is still waited for after the start of a guest %s', (_, second) => {
    using one = bench()
    one.roster.set('a', undefined)
    one.roster.set('b', second)
    expect(one.kinds()).toEqual([])
    expect(one.roster.mayRestart(SERVER_ID)).toBe(true)
  })

  test('is reported as gone as soon as another guest has its Unix socket', () => {
    const socket = { host: 'unix:/run/web-1.sock', port: null }
    using one = bench(guest({ consoles: { vnc: socket } }))
    one.roster.set('a', undefined)
    one.roster.set('b', neighbour({ vnc: socket }))
    expect(one.kinds()).toEqual(['gone'])
  })

  test('after an event, only its next run counts as a restart, not an outdated look at the former one', () => {
    using one = bench(guest({ run: '1' }))
    one.roster.stopped('a')
    one.roster.set('a', guest({ run: '1' }))
    expect(one.roster.mayRestart(SERVER_ID)).toBe(true)
    one.roster.set('a', guest({ run: '2' }))
    vi.advanceTimersByTime(RESTART_MS)
    expect(one.kinds()).toEqual([])
    one.roster.stopped('a')
    vi.advanceTimersByTime(RESTART_MS)
    expect(one.kinds()).toEqual(['stopped'])
  })

  test('has not restarted when a process waits for its migration', () => {
    using one = bench()
    one.roster.set('a', undefined)
    one.roster.set('b', guest({ standIn: true }))
    vi.advanceTimersByTime(RESTART_MS)
    expect(one.kinds()).toEqual(['gone'])
  })

  test('keeps its serial port in the list until its stop is reported', () => {
    using one = bench(serial)
    let reports = 0
    using _ = one.roster.onSerialPorts(() => {
      reports += 1
    })
    one.roster.set('a', undefined)
    expect(one.roster.serialPorts()).toEqual([{ server: serial.server, address: VNC }])
    const before = reports
    vi.advanceTimersByTime(RESTART_MS)
    expect(one.roster.serialPorts()).toEqual([])
    expect(reports).toBe(before + 1)
  })
})

describe('a guest that is switched off', () => {
  const stopped = guest({ live: false, server: server({ vmState: 'stopped' }) })
  const leaving = guest({ live: false, standIn: true, server: server({ vmState: 'stopped' }) })

  function bench() {
    const roster = new Roster()
    const seen: unknown[] = []
    roster.set('a', guest())
    roster.subscribe(({ kind, serverId }) => seen.push([kind, roster.switchedOff(serverId)?.id]))
    return { roster, seen }
  }

  test('is known with its owner after its process has ended, already to listeners, until it runs again', () => {
    const { roster, seen } = bench()
    expect(roster.switchedOff(SERVER_ID)).toBeUndefined()
    roster.switchOff('a')
    expect(seen).toEqual([['gone', SERVER_ID]])
    expect(roster.switchedOff(SERVER_ID)).toMatchObject({ projectId: guest().server.projectId })
    roster.set('b', guest())
    expect(roster.switchedOff(SERVER_ID)).toBeUndefined()
    roster.set('b', undefined)
    expect(roster.switchedOff(SERVER_ID)).toBeUndefined()
  })

  test('is known if it stays listed', () => {
    const { roster, seen } = bench()
    roster.set('a', stopped)
    expect(seen).toEqual([['stopped', SERVER_ID]])
    expect(roster.switchedOff(SERVER_ID)).toBeDefined()
    roster.switchOff('a')
    expect(roster.switchedOff(SERVER_ID)).toBeDefined()
  })

  test.each([
    ['is gone', undefined],
    ['has left by migration', leaving],
    ['is suspended', guest({ live: false, server: server({ vmState: 'suspended' }) })],
  ])('is not one that %s', (_, after) => {
    const { roster } = bench()
    roster.set('a', after)
    expect(roster.switchedOff(SERVER_ID)).toBeUndefined()
  })

  test('is not one whose process ends after a migration, or while a copy runs', () => {
    const { roster } = bench()
    roster.set('a', leaving)
    roster.switchOff('a')
    expect(roster.switchedOff(SERVER_ID)).toBeUndefined()
    roster.set('b', guest())
    roster.set('c', guest())
    roster.switchOff('b')
    expect(roster.switchedOff(SERVER_ID)).toBeUndefined()
    roster.set('c', undefined)
    expect(roster.switchedOff(SERVER_ID)).toBeUndefined()
  })
})
