import { sha256Hex } from '@oriel/runtime'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type DialOptions, INSTANCE, OTHER_TOKEN, open, raw, running, TOKEN } from '../fixture.ts'

const ADMIN = '[admin]\nlisten = "127.0.0.1:0"'
const SECRET = 'token-of-an-operator'
const GUARDED = `${ADMIN}\ntoken_sha256 = "${sha256Hex(SECRET)}"`

async function withAdmin(toml = ADMIN) {
  const proxy = await running({ toml, guest: async (peer) => void (await peer.readToEnd({ timeoutMs: 60_000 })) })
  const ask = (path: string, init: RequestInit = {}) => fetch(`http://${proxy.proxy.admin}${path}`, init)
  const list = async () => ((await (await ask('/sessions')).json()) as { sessions: { id: string }[] }).sessions
  const opened = (options?: DialOptions) => open(proxy.address, options)
  return { ...proxy, ask, list, opened, admin: proxy.proxy.admin! }
}

describe('/sessions', () => {
  afterEach(() => void vi.useRealTimers())

  it('lists open sessions with client, console, start, byte counts and idle time', async () => {
    // The test advances the clock by hand.
    vi.useFakeTimers({ toFake: ['performance'] })
    await using it = await withAdmin()
    expect(await it.list()).toEqual([])
    using client = await it.opened()
    client.ws.send(Buffer.from('keys'))
    await expect.poll(it.list).toEqual([
      {
        id: expect.stringMatching(/^[\da-f-]{36}$/),
        instance: INSTANCE,
        type: 'novnc',
        role: 'control',
        label: null,
        client: '127.0.0.1',
        listener: it.address,
        started: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        bytes_to_client: 0,
        bytes_to_console: 4,
        idle_seconds: 0,
      },
    ])
    vi.advanceTimersByTime(2_500)
    expect(await it.list()).toMatchObject([{ idle_seconds: 2 }])
    const [first] = await it.list()
    const one = await it.ask(`/sessions/${first!.id}`)
    expect([one.status, await one.json()]).toEqual([200, { session: expect.objectContaining({ id: first!.id }) }])
  })

  it('DELETE ends a session with a close reason, and no other session', async () => {
    await using it = await withAdmin()
    using client = await it.opened()
    const [{ id } = { id: '' }] = await it.list()
    using _other = await it.opened({ path: `/?token=${OTHER_TOKEN}` })
    expect((await it.ask(`/sessions/${id}`, { method: 'DELETE' })).status).toBe(204)
    expect(await client.closed()).toEqual({ code: 4008, text: 'An operator ended this session.' })
    await expect.poll(it.list).toHaveLength(1)
    expect(it.log.records('session ended')).toMatchObject([{ session: id, reason: 'ended' }])
    expect((await it.ask(`/sessions/${id}`, { method: 'DELETE' })).status).toBe(404)
    expect((await it.ask(`/sessions/${id}`)).status).toBe(404)
  })

  it.each([
    ['GET', '/sessions/ID/end', 404],
    ['GET', '/sessions/ID?method=DELETE', 200],
    ['POST', '/sessions/ID', 405],
    ['PUT', '/sessions/ID', 405],
    ['DELETE', '/sessions', 405],
    ['POST', '/sessions', 405],
  ])('terminate by GET: %s %s is %i and ends nothing', async (method, path, status) => {
    await using it = await withAdmin()
    using _client = await it.opened()
    const [{ id } = { id: '' }] = await it.list()
    const headers = { 'X-HTTP-Method-Override': 'DELETE' }
    expect((await it.ask(path.replace('ID', id), { method, headers })).status).toBe(status)
    expect(await it.list()).toHaveLength(1)
  })

  it.each<[string, Record<string, string>, number]>([
    ['no token', {}, 401],
    ['a wrong one', { Authorization: 'Bearer wrong' }, 401],
    ['another scheme', { Authorization: `Basic ${SECRET}` }, 401],
    ['the digest instead of the token', { Authorization: `Bearer ${sha256Hex(SECRET)}` }, 401],
    ['a wrong one together with the right one', { Authorization: 'Bearer wrong', 'X-Auth-Token': SECRET }, 401],
    ['the right one', { Authorization: `Bearer ${SECRET}` }, 200],
    ['the right one in X-Auth-Token', { 'X-Auth-Token': SECRET }, 200],
  ])('with token_sha256, authorizes by the token: %s', async (_, headers, status) => {
    await using it = await withAdmin(GUARDED)
    using _client = await it.opened()
    const answer = await it.ask('/sessions', { headers })
    expect(answer.status).toBe(status)
    expect(answer.headers.get('www-authenticate')).toBe(status === 401 ? 'Bearer realm="oriel-proxy"' : null)
    const id = it.proxy.sessions()[0]!.id
    const ended = await it.ask(`/sessions/${id}`, { method: 'DELETE', headers })
    expect(ended.status).toBe(status === 401 ? 401 : 204)
    for (const path of ['/healthz', '/readyz', '/metrics']) expect((await it.ask(path)).status).toBe(200)
    expect(it.log.text()).not.toContain(SECRET)
  })

  it.each([
    ['a page of another site', ['Host: 127.0.0.1', 'Origin: http://evil.example']],
    ['a name that resolves to this machine', ['Host: evil.example:6079']],
    ['a look-alike', ['Host: 127.0.0.1.evil.example']],
  ])('without token_sha256, cross-site: %s is refused', async (_, headers) => {
    await using it = await withAdmin()
    using _client = await it.opened()
    const [{ id } = { id: '' }] = await it.list()
    for (const line of ['GET /sessions', `DELETE /sessions/${id}`]) {
      expect((await raw(it.admin, [`${line} HTTP/1.1`, ...headers, 'Connection: close'])).status).toBe(403)
    }
    expect(await it.list()).toHaveLength(1)
  })

  it('CVE-2025-54289 secrets in listings: no response contains a token or a digest', async () => {
    await using it = await withAdmin()
    using _client = await it.opened({ headers: { Cookie: `token=${TOKEN}`, Referer: `http://h/?token=${TOKEN}` } })
    const [{ id } = { id: '' }] = await it.list()
    const texts = await Promise.all(['/sessions', `/sessions/${id}`].map(async (path) => (await it.ask(path)).text()))
    for (const text of texts) {
      expect(text).toContain(INSTANCE)
      for (const secret of [TOKEN, sha256Hex(TOKEN), sha256Hex(TOKEN).slice(0, 12)]) expect(text).not.toContain(secret)
    }
    const known = ['id', 'instance', 'type', 'role', 'label', 'client', 'listener', 'started']
    expect(Object.keys((await it.list())[0]!)).toEqual([
      ...known,
      'bytes_to_client',
      'bytes_to_console',
      'idle_seconds',
    ])
  })
})
