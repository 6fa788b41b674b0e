/** The right of the one session that controls a console, among the sessions of all proxies. The console itself is unreachable. */
import type { ConsoleRole } from '@oriel/contract'
import { expect, it } from 'vitest'
import type { Authority, PortClaim } from '../../src/authority/authority.ts'
import { createProxy } from '../../src/index.ts'
import { Refused } from '../../src/refused.ts'
import { capture, configOf, INSTANCE, TOKEN, upgrade } from '../fixture.ts'

const EXCLUSIVE = '[sessions]\nshare = "exclusive"'

interface Played {
  readonly toml?: string
  readonly role?: ConsoleRole
  readonly type?: 'novnc' | 'spice-html5'
  readonly refusal?: Refused
  readonly path?: string
}

/** Opens a console, and returns the status, the claims, and the number of releases. */
async function opened({ toml = EXCLUSIVE, role = 'control', type = 'novnc', ...played }: Played) {
  const claims: PortClaim[] = []
  let releases = 0
  const authority: Authority = {
    health: { name: 'played', check: () => {} },
    admit: async () => ({
      ...{ instance: INSTANCE, host: '127.0.0.1', port: 1, role, type },
      record: { id: 's1', opened: () => {}, control: () => {}, ended: () => {} },
    }),
    holdPort: async (claim) => {
      claims.push(claim)
      if (played.refusal) throw played.refusal
      const dispose = () => {
        releases += 1
      }
      return { [Symbol.dispose]: dispose }
    },
    [Symbol.asyncDispose]: async () => {},
  }
  const config = configOf('http://127.0.0.1:9', toml, '127.0.0.1:0', [type])
  await using proxy = await createProxy({ config, authority, log: capture().logger })
  const { status } = await upgrade(proxy.listeners[0]!.address, played.path ?? `/?token=${TOKEN}`)
  return { status, claims, releases }
}

const held = { sessionId: 's1', takeOver: false, exclusive: true }

it('is held before an exclusive console is dialled, and released if that fails', async () => {
  expect(await opened({})).toEqual({ status: 502, claims: [held], releases: 1 })
})

it('is refused while another proxy holds it', async () => {
  const refusal = new Refused('in_use', 'elsewhere', { by: 'Zoë' })
  expect(await opened({ refusal })).toEqual({ status: 409, claims: [held], releases: 0 })
})

it.each([
  ['take_over=1 in the address', { path: `/?token=${TOKEN}&take_over=1` }],
  ['sessions.in_use', { toml: `${EXCLUSIVE}\nin_use = "take_over"` }],
])('is taken over by %s', async (_, played) => {
  expect((await opened(played)).claims).toEqual([{ ...held, takeOver: true }])
})

it.each([
  ['a console that several sessions may control', { toml: '' }],
  ['a watcher', { role: 'watch' }],
  ['SPICE, whose channels come one by one', { type: 'spice-html5' }],
] as const)('is not held for %s', async (_, played) => {
  expect((await opened(played)).claims).toEqual([])
})
