/** Look-ups of instance names with a Nova that does not answer them: shared requests, a breaker, and separate metrics. */
import { Secret } from '@oriel/runtime'
import type { Fetch } from '@oriel/sdk'
import { scriptedServer, startNovaStub } from '@oriel/testkit'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createAuthority } from '../../src/authority/index.ts'
import { createProxy, novaAuthority } from '../../src/index.ts'
import { ADMIN_TOKEN, capture, configOf, INSTANCE, OTHER_TOKEN, shakeThen, TOKEN, upgrade } from '../fixture.ts'

const never = new AbortController().signal
const INFO = { instance_uuid: INSTANCE, host: '127.0.0.1', port: 5900 }
const auth = { headers: async () => ({ 'X-Auth-Token': ADMIN_TOKEN }) }

async function started(more: object = {}) {
  await using opened = new AsyncDisposableStack()
  const options = { tokens: { [TOKEN]: INFO }, adminToken: ADMIN_TOKEN }
  const nova = opened.use(await startNovaStub(options))
  let now = 0
  const breaker = { threshold: 2, restMs: 1000, now: () => now }
  const authority = opened.use(novaAuthority({ endpoint: nova.url, auth, timeoutMs: 60_000, breaker, ...more }))
  const close = opened.move()
  return {
    ...{ nova, authority },
    names: (instance = INSTANCE, signal = never) => authority.names!(instance, signal),
    asked: () => nova.requests.filter(({ url }) => url.startsWith('/v2.1/servers/')).length,
    rest: () => {
      now += 1000
    },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}
const OTHER_INSTANCE = '0d1f7a52-0d42-4bb5-8b8e-2c9a0f6e7d11'
/** A Nova whose policy forbids the proxy to show servers. */
const forbidding: Fetch = async (url, init) =>
  url.includes('/servers/')
    ? Response.json({ forbidden: { code: 403, message: 'No.' } }, { status: 403 })
    : globalThis.fetch(url, init)
const unavailable = expect.objectContaining({ refusal: 'authority_unavailable' })

describe('the names of an instance', () => {
  it('are looked up once for concurrent clients, and again for a later one', async () => {
    await using it = await started()
    await it.names()
    const before = it.asked()
    const answers = await Promise.all([it.names(), it.names(), it.names()])
    expect(it.asked()).toBe(before + 1)
    for (const answer of answers) expect(answer.names).toContain(INSTANCE)
    await it.names()
    expect(it.asked()).toBe(before + 2)
  })

  it('are awaited for each client until it disconnects', async () => {
    await using it = await started()
    await it.names()
    it.nova.behave('hang')
    const leaving = new AbortController()
    const left = it.names(INSTANCE, leaving.signal)
    const stays = it.names()
    await it.nova.requested(it.nova.requests.length + 1)
    leaving.abort(new Error('the client left'))
    await expect(left).rejects.toThrow('the client left')
    await it.authority[Symbol.asyncDispose]()
    await expect(stays).rejects.toEqual(unavailable)
  })

  it('are not looked up after consecutive failures, even while token look-ups succeed, and tried again later', async () => {
    await using it = await started()
    it.nova.behave(500)
    for (const instance of [INSTANCE, OTHER_INSTANCE]) {
      await expect(it.names(instance)).rejects.toEqual(unavailable)
      it.nova.behave('answer')
      await it.authority.admit(new Secret(TOKEN), { address: 'c' }, never)
      it.nova.behave(500)
    }
    const before = it.asked()
    await expect(it.names()).rejects.toMatchObject({ cause: { name: 'BreakerOpen' } })
    expect(it.asked()).toBe(before)
    expect(it.authority.namesBreaker!.state).toBe('open')
    expect(it.authority.breaker!.state).toBe('closed')
    it.nova.behave('answer')
    it.rest()
    expect((await it.names()).names).toContain(INSTANCE)
    expect(it.authority.namesBreaker!.state).toBe('closed')
  })

  it.each([
    ['there is no such server', {}, 'b0a1'],
    ['the credential lacks the role', { fetch: forbidding }, INSTANCE],
  ])('do not open the breaker when Nova answers that %s', async (_, more, instance) => {
    await using it = await started(more)
    for (let i = 0; i < 5; i += 1) await expect(it.names(instance)).rejects.toThrow('role admin')
    expect(it.authority.namesBreaker!.state).toBe('closed')
  })
})

/** A Nova that answers every request for a server with this response. */
const ofServers =
  (answer: () => Response): Fetch =>
  async (url, init) =>
    url.includes('/servers/') ? answer() : globalThis.fetch(url, init)
const fault = (status: number, key: string) => () =>
  Response.json({ [key]: { code: status, message: 'No.' } }, { status })

describe('a failed look-up of instance names', () => {
  // For a server of a cell that is down, Nova returns little more than `status`.
  const inCellThatIsDown = () => Response.json({ server: { id: INSTANCE, status: 'UNKNOWN', links: [] } })
  it.each([
    ['404 with a fault', fault(404, 'itemNotFound'), 'console_moved', 'closed'],
    ['403, which may be a policy of one project', fault(403, 'forbidden'), 'authority_unavailable', 'closed'],
    ['a server of a cell that is down', inCellThatIsDown, 'console_unreachable', 'closed'],
    ['409, for the state of one instance', fault(409, 'conflictingRequest'), 'console_unreachable', 'closed'],
    ['400, for one id', fault(400, 'badRequest'), 'console_unreachable', 'closed'],
    ['409 without a fault', () => new Response('Conflict', { status: 409 }), 'authority_unavailable', 'open'],
    ['400 of a router', () => new Response('Bad Request', { status: 400 }), 'authority_unavailable', 'open'],
    ['429', fault(429, 'overLimit'), 'authority_unavailable', 'closed'],
    ['401', fault(401, 'unauthorized'), 'authority_unavailable', 'open'],
    ['404 without a fault', () => new Response('Not Found', { status: 404 }), 'authority_unavailable', 'open'],
    ['500', fault(500, 'computeFault'), 'authority_unavailable', 'open'],
    ['503', fault(503, 'serviceUnavailable'), 'authority_unavailable', 'open'],
    ['a body without JSON', () => new Response('<html>'), 'authority_unavailable', 'open'],
    ['JSON of another schema', () => Response.json({ console: {} }), 'authority_unavailable', 'open'],
  ] as const)('answered with $0 is refused as $2, and the breaker is $3', async (_, answer, refusal, state) => {
    await using it = await started({ fetch: ofServers(answer) })
    for (const instance of [INSTANCE, OTHER_INSTANCE]) {
      await expect(it.names(instance)).rejects.toMatchObject({ name: 'Refused', refusal })
    }
    expect(it.authority.namesBreaker!.state).toBe(state)
    expect(it.authority.breaker!.state).toBe('closed')
  })

  it('counts once for several failures of one instance', async () => {
    await using it = await started({ fetch: ofServers(fault(500, 'computeFault')) })
    for (let i = 0; i < 5; i += 1) await expect(it.names()).rejects.toEqual(unavailable)
    expect(it.authority.namesBreaker!.state).toBe('closed')
  })
})

describe('a token that Nova cannot have issued', () => {
  // The token is part of the path, so a router or a web application firewall may reject it.
  const odd = '..env.php'
  it.each([
    ['400', { status: 400 }, 'unknown_token'],
    ['403 of a firewall', { status: 403 }, 'unknown_token'],
    ['404 of a router', { status: 404 }, 'unknown_token'],
    ['405', { status: 405 }, 'unknown_token'],
    ['500', { status: 500 }, 'authority_unavailable'],
  ] as const)('answered with %s leaves the breaker closed', async (_, init, refusal) => {
    const fetch: Fetch = async (url, request) =>
      url.endsWith(odd) ? new Response('No.', init) : globalThis.fetch(url, request)
    await using it = await started({ fetch })
    for (let i = 0; i < 5; i += 1) {
      const asked = it.authority.admit(new Secret(odd), { address: 'c' }, never)
      await expect(asked).rejects.toMatchObject({ name: 'Refused', refusal })
    }
    expect(it.authority.breaker!.state).toBe('closed')
  })
})

describe('a proxy whose Nova does not return instance names', () => {
  afterEach(() => void vi.useRealTimers())

  it('waits for Nova a few times, then refuses at once, and reports it in /readyz and /metrics', async () => {
    // Time passes only while names are awaited, so that no other deadline is reached.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await using opened = new AsyncDisposableStack()
    const hypervisor = opened.use(await scriptedServer((peer) => shakeThen(peer, () => peer.closed())))
    const at = { ...INFO, port: hypervisor.port }
    const tokens = { [TOKEN]: at, [OTHER_TOKEN]: { ...at, instance_uuid: OTHER_INSTANCE } }
    const nova = opened.use(await startNovaStub({ tokens, adminToken: ADMIN_TOKEN }))
    let asked = 0
    const fetch: Fetch = (url, init) => {
      if (!url.includes('/servers/')) return globalThis.fetch(url, init)
      asked += 1
      setImmediate(() => vi.advanceTimersByTime(300))
      return Promise.withResolvers<Response>().promise
    }
    const config = configOf(nova.url, '[admin]\nlisten = "127.0.0.1:0"\n[hypervisor]\nidentity = "enforce"')
    const breaker = { threshold: 2, now: () => 0 }
    const options = { endpoint: nova.url, auth, timeoutMs: 300, fetch, breaker }
    const authority = novaAuthority({ ...options, validate: 'off' })
    const proxy = opened.use(await createProxy({ config, authority, log: capture().logger }))
    const { address } = proxy.listeners[0]!
    const ready = async () => (await globalThis.fetch(`http://${proxy.admin}/readyz`)).status
    expect(await ready()).toBe(200)
    for (const token of [TOKEN, OTHER_TOKEN, TOKEN]) {
      expect((await upgrade(address, `/?token=${token}`)).status).toBe(503)
    }
    vi.useRealTimers()
    expect(asked).toBe(2)
    expect(await ready()).toBe(503)
    const text = await (await globalThis.fetch(`http://${proxy.admin}/metrics`)).text()
    expect(text).toContain('oriel_proxy_names_seconds_count{type="novnc",result="authority_unavailable"} 3')
    expect(text).toContain('oriel_proxy_names_breaker{state="open"} 1')
    expect(text).toContain('oriel_proxy_authority_breaker{state="closed"} 1')
  })

  it.each([
    ['enforce', 'is not ready'],
    ['warn', 'is ready, since consoles still open'],
  ] as const)('with identity %s %s', async (identity, readiness) => {
    vi.useFakeTimers({ toFake: ['performance'] })
    await using nova = await startNovaStub({ tokens: { [TOKEN]: INFO }, adminToken: ADMIN_TOKEN })
    const config = configOf(nova.url, `[hypervisor]\nidentity = "${identity}"`)
    await using authority = createAuthority(config, capture().logger)
    await authority.names!(INSTANCE, never)
    nova.behave(500)
    for (let i = 0; i < 5; i += 1) {
      await expect(authority.names!(`instance-${i}`, never)).rejects.toEqual(unavailable)
    }
    expect(authority.namesBreaker!.state).toBe('open')
    const check = async () => authority.health.check(never)
    if (readiness === 'is not ready') await expect(check()).rejects.toThrow('the last 5 calls failed')
    else await check()
  })
})
