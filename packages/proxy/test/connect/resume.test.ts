/** Dialling with a ticket in place of the token. */
import { randomUUID } from 'node:crypto'
import { Secret, sha256Hex } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import type { ResumeGrant } from '../../src/resume/grant.ts'
import { Seal } from '../../src/resume/seal.ts'
import { Tickets } from '../../src/resume/tickets.ts'
import { configOf, dial, INSTANCE, OTHER_TOKEN, open, type Running, running, TOKEN, upgrade } from '../fixture.ts'

const KEY = 'key-of-the-tests-that-is-long-enough'
const sessions = (...lines: readonly string[]) => [`[sessions]\nresume_key = "${KEY}"`, ...lines].join('\n')
const HOUR = 3_600_000

/** Issues a ticket as another proxy with the same key does. */
function ticket(changes: Partial<ResumeGrant> = {}, { key = KEY, issuedAt = Date.now() } = {}): string {
  const seal = new Seal(new Secret(key))
  const tickets = new Tickets({ seal, resumeMs: HOUR, maxSessionMs: 0, now: () => issuedAt })
  const grant: ResumeGrant = {
    ...{ sessionId: randomUUID(), instance: INSTANCE, type: 'novnc', role: 'control', tokenDigest: sha256Hex(TOKEN) },
    ...{ token: new Secret(TOKEN), handle: 'h', openedAt: issuedAt, ...changes },
  }
  return tickets.issue(tickets.sealGrant(grant))!.ticket.reveal()
}

const withTicket = (text: string) => ({ path: '/', protocols: ['binary', `oriel.ticket.${text}`] })
const offered = (text: string) => [`Sec-WebSocket-Protocol: binary, oriel.ticket.${text}`]

/** Returns the status of an Upgrade with a ticket. */
const statusWith = async ({ address }: Running, text: string) => (await upgrade(address, '/', offered(text))).status

describe('dialling with a ticket', () => {
  it('opens the console without the token, as the earlier session was', async () => {
    await using it = await running({ toml: sessions() })
    const text = ticket({ role: 'control', label: 'Bob', sessionId: 'earlier' })
    using client = await open(it.address, withTicket(text))
    expect(client.ws.protocol).toBe('binary')
    expect(it.proxy.sessions()).toMatchObject([{ instance: INSTANCE, type: 'novnc', label: 'Bob' }])
    expect(it.proxy.sessions()[0]!.tokenDigest).toBe(sha256Hex(TOKEN))
    for (const secret of [text, TOKEN]) expect(it.log.text()).not.toContain(secret)
  })

  it('opens the console with the ticket in the cookie that the address names', async () => {
    await using it = await running({ toml: sessions() })
    const headers = { Cookie: `__Host-oriel-abc=${ticket()}; __Host-oriel-other=x` }
    using _client = await open(it.address, { path: '/?resume=abc', headers })
    expect((await upgrade(it.address, '/?resume=abc')).status).toBe(403)
  })

  it.each([
    ['malformed', () => 'AAAA'],
    ['sealed with another key', () => ticket({}, { key: KEY.toUpperCase() })],
    ['expired', () => ticket({}, { issuedAt: Date.now() - HOUR - 1 })],
    ['for a token that the authority has forgotten', () => ticket({ token: new Secret(randomUUID()) })],
    ['for another instance than its token', () => ticket({ instance: randomUUID() })],
  ])('refuses a ticket that is %s like an unknown token', async (_, make) => {
    await using it = await running({ toml: sessions() })
    const refused = await upgrade(it.address, '/', offered(make()))
    expect(refused.status).toBe(403)
    expect(refused.body).toBe((await upgrade(it.address, `/?token=${randomUUID()}`)).body)
    expect(it.log.records('refused').map(({ refusal }) => refusal)).toEqual(['unknown_token', 'unknown_token'])
  })

  it('refuses a ticket for another console type', async () => {
    await using it = await running({ toml: sessions() })
    expect(await statusWith(it, ticket({ type: 'serial' }))).toBe(403)
    expect(it.log.records('refused')[0]).toMatchObject({ refusal: 'wrong_console_type' })
    expect(it.nova.requests).toEqual([])
  })

  it('refuses every ticket if resume_seconds is 0', async () => {
    await using it = await running({ toml: sessions('resume_seconds = 0') })
    expect(await statusWith(it, ticket())).toBe(403)
  })

  it('accepts the keys of a configuration that is read again, and no others', async () => {
    await using it = await running({ toml: sessions() })
    const newKey = KEY.toUpperCase()
    const reload = (keys: string) =>
      it.proxy.reload(configOf(it.nova.url, `[sessions]\nresume_key = ${JSON.stringify(keys)}`))
    const opensWith = async (key: string) => {
      const opened = await open(it.address, withTicket(ticket({}, { key }))).catch(() => undefined)
      opened?.[Symbol.dispose]()
      return opened !== undefined
    }
    const seen = async () => [await opensWith(KEY), await opensWith(newKey)]
    expect(await seen()).toEqual([true, false])
    reload(`${newKey}\n${KEY}\n`)
    expect(await seen()).toEqual([true, true])
    reload(newKey)
    expect(await seen()).toEqual([false, true])
  })

  it('counts malformed tickets and unknown tokens towards one limit', async () => {
    await using it = await running({ toml: sessions('unknown_tokens_per_minute = 2') })
    expect([await statusWith(it, 'AAAA'), await statusWith(it, 'BBBB'), await statusWith(it, 'CCCC')]).toEqual([
      ...[403, 403, 429],
    ])
    expect((await upgrade(it.address, `/?token=${randomUUID()}`)).status).toBe(429)
    expect(it.nova.requests).toEqual([])
  })

  it('refuses pages of foreign origins, as with a token', async () => {
    await using it = await running({ toml: sessions() })
    const headers = [...offered(ticket()), 'Origin: https://evil.example']
    expect((await upgrade(it.address, '/', headers)).status).toBe(403)
    expect(it.log.records('refused')[0]).toMatchObject({ refusal: 'foreign_origin' })
  })

  it('CVE-2013-0335 port reuse: confirms the console again', async () => {
    const server = { name: 'web-1', instanceName: 'instance-0000002a', vmState: 'stopped' }
    await using it = await running({ toml: sessions(), server, hypervisor: (peer) => peer.closed() })
    it.nova.forbidden.add('os-remote-consoles')
    expect(await statusWith(it, ticket())).toBe(503)
  })

  it('counts towards the limit of the token that opened the first session', async () => {
    await using it = await running({ toml: sessions('max_per_token = 1') })
    using _client = await open(it.address, withTicket(ticket()))
    expect((await upgrade(it.address)).status).toBe(429)
    using _other = await open(it.address, { path: `/?token=${OTHER_TOKEN}` })
  })

  it('bearer URLs: works again and again with single_use, while the token is used up', async () => {
    await using it = await running({ toml: sessions('single_use = true') })
    const first = await open(it.address)
    first.ws.terminate()
    await first.closed()
    expect((await upgrade(it.address)).status).toBe(403)
    for (let i = 0; i < 2; i += 1) {
      const again = await open(it.address, withTicket(ticket()))
      again.ws.terminate()
      await again.closed()
    }
    expect((await upgrade(it.address)).status).toBe(403)
  })

  it('ends the session at max_seconds after the first opening', async () => {
    await using it = await running({ toml: sessions('max_seconds = 3600') })
    using client = await dial(it.address, withTicket(ticket({ openedAt: Date.now() - HOUR })))
    expect((await client.closed()).code).toBe(4005)
  })
})
