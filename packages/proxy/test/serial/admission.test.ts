/** A shared serial port, and the checks that each session of it passes. */
import type { ConsoleRole } from '@oriel/contract'
import { type Peer, scriptedServer } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import type { Authority, ConsoleClaim, PortClaim } from '../../src/authority/authority.ts'
import { createProxy, Refused } from '../../src/index.ts'
import { capture, configOf, dial, INSTANCE, OTHER_TOKEN, TOKEN, upgrade } from '../fixture.ts'

const greeting = async (peer: Peer) => {
  await peer.send(Buffer.from('login: '))
  await peer.closed({ timeoutMs: 60_000 })
}

/** A proxy for one serial port, whose authority calls `validate` for each session. */
async function started(
  validate: (claim: ConsoleClaim) => Promise<void>,
  toml = '',
  played: Pick<Authority, 'holdPort'> & { readonly role?: ConsoleRole } = {},
) {
  await using opened = new AsyncDisposableStack()
  const port = opened.use(await scriptedServer(greeting))
  const { role = 'control', ...rest } = played
  let sessions = 0
  const record = () => {
    sessions += 1
    return { id: `s${sessions}`, opened: () => {}, control: () => {}, ended: () => {} }
  }
  const authority: Authority = {
    health: { name: 'played', check: () => {} },
    admit: async () => ({ instance: INSTANCE, host: port.host, port: port.port, role, record: record() }),
    ...rest,
    validate: async (claim) => {
      await validate(claim)
      return claim.admission
    },
    [Symbol.asyncDispose]: async () => {},
  }
  const config = configOf('http://127.0.0.1:9', toml, '127.0.0.1:0', ['serial'])
  const proxy = opened.use(await createProxy({ config, authority, log: capture().logger }))
  const close = opened.move()
  return {
    ...{ port, proxy, address: proxy.listeners[0]!.address },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

const other = `/?token=${OTHER_TOKEN}`

it('validates the token of every session, though only the first one dials', async () => {
  const validated: string[] = []
  await using run = await started(async ({ tokenDigest }) => void validated.push(tokenDigest))
  using first = await dial(run.address)
  using second = await dial(run.address, { path: other })
  for (const client of [first, second]) expect(String(await client.read(7))).toBe('login: ')
  expect(new Set(validated).size).toBe(2)
  expect(run.port.connections).toBe(1)
})

it('shows a port to no session whose validation fails, and leaves the others alone', async () => {
  let isValid = true
  await using run = await started(async () => {
    if (!isValid) throw new Refused('console_moved', 'elsewhere')
  })
  using first = await dial(run.address)
  isValid = false
  expect((await upgrade(run.address, other)).status).toBe(409)
  isValid = true
  expect(String(await first.read(7))).toBe('login: ')
  expect(run.proxy.sessions()).toHaveLength(1)
})

it('opens a port for the second session if the validation of the first one, which dialled, fails', async () => {
  const verdict = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  let calls = 0
  await using run = await started(async () => {
    calls += 1
    if (calls > 1) return
    asked.resolve()
    await verdict.promise
  })
  const first = upgrade(run.address, `/?token=${TOKEN}`)
  await asked.promise
  using second = await dial(run.address, { path: other })
  verdict.reject(new Refused('console_moved', 'elsewhere'))
  expect((await first).status).toBe(409)
  expect(String(await second.read(7))).toBe('login: ')
  expect(run.port.connections).toBe(1)
})

it('counts each session towards the limits', async () => {
  await using run = await started(async () => {}, '[sessions]\nmax_per_instance = 1')
  using _first = await dial(run.address)
  expect((await upgrade(run.address, other)).status).toBe(429)
})

describe('a port that proxies hold at the authority', () => {
  /** Plays the authority. Resolves `released` with the disposal of a hold. */
  function playedHolds(refusal?: Refused) {
    const claims: PortClaim[] = []
    const { promise: released, resolve } = Promise.withResolvers<void>()
    const holdPort = async (claim: PortClaim) => {
      claims.push(claim)
      if (refusal) throw refusal
      return { [Symbol.dispose]: () => resolve() }
    }
    return { claims, released, holdPort }
  }

  it('is held for its first session, and released after its last one', async () => {
    const { claims, released, holdPort } = playedHolds()
    await using run = await started(async () => {}, '', { holdPort })
    const first = await dial(run.address)
    using second = await dial(run.address, { path: other })
    expect(claims).toEqual([{ sessionId: 's1', takeOver: false }])
    first[Symbol.dispose]()
    await expect.poll(() => run.proxy.sessions().length).toBe(1)
    expect(await Promise.race([released, 'held'])).toBe('held')
    second[Symbol.dispose]()
    await released
  })

  it('is not dialled while another proxy holds it', async () => {
    const { holdPort } = playedHolds(new Refused('in_use', 'elsewhere', { by: 'Zoë' }))
    await using run = await started(async () => {}, '', { holdPort })
    expect((await upgrade(run.address, other)).status).toBe(409)
    expect(run.port.connections).toBe(0)
  })

  it('is released if it cannot be dialled', async () => {
    const { released, holdPort } = playedHolds()
    await using run = await started(async () => {}, '', { holdPort })
    await run.port[Symbol.asyncDispose]()
    expect((await upgrade(run.address, other)).status).toBe(502)
    await released
  })

  it.each([
    ['a session with control takes', 'control', true],
    ['a watcher does not take', 'watch', false],
  ] as const)('is what %s over by take_over=1', async (_, role, takeOver) => {
    const { claims, holdPort } = playedHolds()
    await using run = await started(async () => {}, '', { holdPort, role })
    using _client = await dial(run.address, { path: `${other}&take_over=1` })
    expect(claims).toEqual([{ sessionId: 's1', takeOver }])
  })
})
