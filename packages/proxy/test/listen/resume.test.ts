/** The resource from which pages get their tickets. */
import { randomBytes, randomUUID } from 'node:crypto'
import { closeReasons, resumeCookie } from '@oriel/contract'
import { sha256Hex } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { type Client, INSTANCE, open, type Running, running, TOKEN, upgrade } from '../fixture.ts'

const newKey = () => randomBytes(16).toString('base64url')
const opened = (it: Running, key: string, more: object = {}) =>
  open(it.address, { protocols: ['binary', `oriel.page.${key}`], ...more })

interface Asking {
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly cookie?: boolean
  readonly body?: string
}

async function ask(
  { address }: Running,
  key: string,
  { path = '/oriel.resume', headers = {}, cookie, body }: Asking = {},
) {
  const response = await fetch(`http://${address}${path}`, {
    method: 'POST',
    headers,
    body: body ?? JSON.stringify({ key, ...(cookie === undefined ? {} : { cookie }) }),
  })
  const answer = (await response.json()) as { ticket?: string; handle: string; expires_at: string }
  return { status: response.status, headers: response.headers, answer, cookies: response.headers.getSetCookie() }
}

const offering = (ticket: string | undefined) => ({ path: '/', protocols: ['binary', `oriel.ticket.${ticket}`] })

/** The page’s own origin over TLS, as a balancer passes it on: the page’s scheme is in its Origin alone. */
const secure = ({ address }: Running) => ({ Origin: `https://${address.split(':')[0]}:8443` })

const left = async (client: Client) => {
  client.ws.terminate()
  await client.closed()
}

describe('a page with an open console', () => {
  it('gets a ticket, and comes back with it in place of its token', async () => {
    await using it = await running()
    const key = newKey()
    const first = await opened(it, key)
    const { status, answer, headers, cookies } = await ask(it, key)
    expect({ status, cookies, cache: headers.get('Cache-Control') }).toEqual({
      ...{ status: 200, cookies: [], cache: 'no-store' },
    })
    const left = Date.parse(answer.expires_at) - Date.now()
    expect(left).toBeGreaterThan(3_500_000)
    expect(left).toBeLessThanOrEqual(3_600_000)
    expect(answer.handle).toMatch(/^[\w-]{22}$/)
    first.ws.terminate()
    using again = await open(it.address, offering(answer.ticket))
    expect(again.ws.readyState).toBe(again.ws.OPEN)
    for (const secret of [answer.ticket!, TOKEN, key]) expect(it.log.text()).not.toContain(secret)
  })

  it('ends its earlier session, which may still count as open, when it comes back', async () => {
    await using it = await running()
    const key = newKey()
    using first = await opened(it, key)
    const { answer } = await ask(it, key)
    using _again = await open(it.address, offering(answer.ticket))
    expect((await first.closed()).code).toBe(closeReasons.taken_over.code)
    expect(it.proxy.sessions()).toHaveLength(1)
  })

  it('has one session open with all copies of its ticket', async () => {
    await using it = await running()
    const key = newKey()
    using origin = await opened(it, key)
    const { answer } = await ask(it, key)
    const copies = [await open(it.address, offering(answer.ticket)), await open(it.address, offering(answer.ticket))]
    await origin.closed()
    expect((await copies[0]!.closed()).code).toBe(closeReasons.taken_over.code)
    expect(it.proxy.sessions()).toHaveLength(1)
    copies[1]![Symbol.dispose]()
  })

  it('ends no session of another page', async () => {
    await using it = await running()
    const [one, two] = [newKey(), newKey()]
    using _other = await opened(it, one)
    using mine = await opened(it, two)
    const { answer } = await ask(it, two)
    using _again = await open(it.address, offering(answer.ticket))
    await mine.closed()
    expect(it.proxy.sessions()).toHaveLength(2)
  })

  it('keeps its handle, role and label when it comes back, and gets tickets again', async () => {
    await using it = await running()
    const [one, two] = [newKey(), newKey()]
    const first = await opened(it, one)
    const before = (await ask(it, one)).answer
    await left(first)
    using _again = await opened(it, two, {
      path: '/',
      protocols: [...offering(before.ticket).protocols, `oriel.page.${two}`],
    })
    const after = (await ask(it, two)).answer
    expect(after.handle).toBe(before.handle)
    expect(after.ticket).not.toBe(before.ticket)
    expect(it.proxy.sessions()).toMatchObject([{ instance: INSTANCE, role: 'control' }])
  })

  it('has its ticket in a cookie if it has the proxy’s own host and TLS, and asks for that', async () => {
    await using it = await running()
    const key = newKey()
    const first = await opened(it, key)
    const { answer, cookies } = await ask(it, key, { headers: secure(it), cookie: true })
    expect(Object.keys(answer)).toEqual(['handle', 'expires_at', 'expires_in_seconds'])
    const [pair = '', ...attributes] = cookies[0]!.split('; ')
    expect(attributes.toSorted()).toEqual([
      ...['HttpOnly', expect.stringMatching(/^Max-Age=3(600|5\d\d)$/), 'Partitioned'],
      ...['Path=/', 'SameSite=Strict', 'Secure'],
    ])
    expect(cookies).toHaveLength(1)
    await left(first)
    const path = `/?resume=${answer.handle}`
    using _again = await open(it.address, { path, headers: { Cookie: pair, ...secure(it) } })
    expect((await upgrade(it.address, path)).status).toBe(403)
  })

  it.each<[string, (it: Running) => Asking]>([
    ['was loaded without TLS', ({ address }) => ({ headers: { Origin: `http://${address}` }, cookie: true })],
    ['has no Origin', () => ({ cookie: true })],
    ['is of another, allowed host', () => ({ headers: { Origin: 'https://portal.example' }, cookie: true })],
    ['does not ask for a cookie', (it) => ({ headers: secure(it) })],
  ])('has its ticket in the answer if it %s', async (_, asking) => {
    await using it = await running({ toml: '[origin]\nallowed = ["https://portal.example"]' })
    const key = newKey()
    using _client = await opened(it, key)
    const { answer, cookies, headers } = await ask(it, key, asking(it))
    expect({ cookies, ticket: typeof answer.ticket }).toEqual({ cookies: [], ticket: 'string' })
    expect(headers.get('Access-Control-Allow-Origin')).toBe(asking(it).headers?.Origin ?? null)
  })

  it('keeps at most sixteen cookies, and none that no longer opens', async () => {
    await using it = await running()
    const key = newKey()
    using _client = await opened(it, key)
    const { ticket, handle } = (await ask(it, key)).answer
    const names = Array.from({ length: 17 }, (_, i) => resumeCookie(`h${i}`))
    const others = [...names.map((name) => `${name}=${ticket}`), `${resumeCookie('stale')}=AAAA`, 'token=abc']
    const headers = { ...secure(it), Cookie: others.join('; ') }
    const { cookies } = await ask(it, key, { headers, cookie: true })
    expect(cookies.map((cookie) => cookie.split('=', 1)[0])).toEqual([
      ...[resumeCookie(handle), names[0], names[1], resumeCookie('stale')],
    ])
    expect(cookies.slice(1).every((cookie) => cookie.endsWith('Max-Age=0'))).toBe(true)
  })

  it.each([
    [false, 'stays out'],
    [true, 'comes back, and gets tickets again'],
  ])('with renew = %s %s once Nova has forgotten its token', async (renew) => {
    await using it = await running({ renew })
    const [one, two] = [newKey(), newKey()]
    const first = await opened(it, one)
    const { ticket, handle } = (await ask(it, one)).answer
    await left(first)
    it.nova.tokens.delete(TOKEN)
    if (!renew) {
      await expect(open(it.address, offering(ticket))).rejects.toThrow('status 403')
      return
    }
    const protocols = [...offering(ticket).protocols, `oriel.page.${two}`]
    using _again = await opened(it, two, { path: '/', protocols })
    expect((await ask(it, two)).answer).toMatchObject({ handle, ticket: expect.any(String) })
    expect(it.proxy.sessions().at(-1)).toMatchObject({ instance: INSTANCE, tokenDigest: sha256Hex(TOKEN) })
  })

  it('does not come back after an operator ended its session, with this ticket or any other of its token', async () => {
    await using it = await running()
    const [one, two] = [newKey(), newKey()]
    const first = await opened(it, one)
    const { ticket } = (await ask(it, one)).answer
    await left(first)
    const second = await opened(it, two, { path: '/', protocols: [...offering(ticket).protocols, `oriel.page.${two}`] })
    const later = (await ask(it, two)).answer.ticket
    const [session] = await it.proxy.inside.sessions.list()
    expect(await it.proxy.inside.sessions.end(session!.id)).toBe(true)
    expect((await second.closed()).code).toBe(closeReasons.ended.code)
    for (const text of [ticket, later])
      expect((await upgrade(it.address, '/', [`Sec-WebSocket-Protocol: binary, oriel.ticket.${text}`])).status).toBe(
        403,
      )
  })

  it('gets no ticket that is valid beyond max_seconds', async () => {
    await using it = await running({ toml: '[sessions]\nmax_seconds = 60' })
    const key = newKey()
    using _client = await opened(it, key)
    const { answer } = await ask(it, key)
    expect(Date.parse(answer.expires_at) - Date.now()).toBeLessThanOrEqual(60_000)
  })
})

describe('a request for a ticket', () => {
  it.each<[number, string, Asking]>([
    [403, 'an unknown key', {}],
    [400, 'a malformed key', { body: '{"key":"x"}' }],
    [400, 'no key', { body: '{}' }],
    [400, 'no JSON', { body: 'key' }],
    [400, 'a long body', { body: 'x'.repeat(2000) }],
    [403, 'a foreign origin', { headers: { Origin: 'https://evil.example' } }],
  ])('is refused with %i for %s', async (status, _, asking) => {
    await using it = await running()
    const refused = await ask(it, newKey(), asking)
    expect(refused.status).toBe(status)
    expect(refused.answer.ticket).toBeUndefined()
    if (asking.headers) expect(refused.headers.get('Access-Control-Allow-Origin')).toBeNull()
    expect(it.log.records('refused a ticket')).toHaveLength(1)
  })

  it('is refused once the session has ended', async () => {
    await using it = await running()
    const key = newKey()
    await left(await opened(it, key))
    await expect.poll(async () => (await ask(it, key)).status).toBe(403)
  })

  it('counts towards the limit of unknown tokens if its key is unknown', async () => {
    await using it = await running({ toml: '[sessions]\nunknown_tokens_per_minute = 1' })
    expect([(await ask(it, newKey())).status, (await ask(it, newKey())).status]).toEqual([403, 429])
    expect((await upgrade(it.address, `/?token=${randomUUID()}`)).status).toBe(429)
  })

  it('gets the answer of an older proxy if resume_seconds is 0', async () => {
    await using it = await running({ toml: '[sessions]\nresume_seconds = 0' })
    const key = newKey()
    using _client = await opened(it, key)
    expect((await ask(it, key)).status).toBe(405)
  })

  it('finds the console below the prefix of its type, and below any folder', async () => {
    await using it = await running({ consoles: ['novnc', 'serial'] })
    const key = newKey()
    using _client = await opened(it, key, { path: `/novnc/?token=${TOKEN}` })
    for (const path of ['/novnc/oriel.resume', '/novnc/folder/oriel.resume?instance=1'])
      expect((await ask(it, key, { path })).status).toBe(200)
    expect((await ask(it, key, { path: '/oriel.resume' })).status).toBe(405)
  })
})
