import { once } from 'node:events'
import { closeReasons, consoleRoles, openableConsoleTypes, refusals } from '@oriel/contract'
import { freePort } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { MAX_UNPROVEN_READ_BYTES } from '../src/hypervisor/read-buffers.ts'
import { ADMIN_TOKEN, INSTANCE, OTHER_TOKEN, open, running, TOKEN, upgrade } from './fixture.ts'

type Labels = Readonly<Record<string, string>>
interface Sample {
  readonly name: string
  readonly labels: Labels
  readonly value: number
}

/** Parses every sample of Prometheus' text format. */
function samples(text: string): Sample[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return lines.map((line) => {
    const [, name = '', labels = '', value = ''] = /^([a-z_A-Z0-9:]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key!, text!])
    return { name, labels: Object.fromEntries(pairs), value: Number(value) }
  })
}

async function scraped(options: Parameters<typeof running>[0] = {}) {
  const proxy = await running({ toml: '[admin]\nlisten = "127.0.0.1:0"', ...options })
  const scrape = async () => samples(await (await fetch(`http://${proxy.proxy.admin}/metrics`)).text())
  const value = async (name: string, labels: Labels = {}) => {
    const fits = (sample: Sample) => Object.entries(labels).every(([key, text]) => sample.labels[key] === text)
    return (await scrape()).find((sample) => sample.name === name && fits(sample))?.value
  }
  return { ...proxy, scrape, value }
}

/** The allowed values of each label: constants of the program, never data of a request. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  type: openableConsoleTypes,
  direction: ['to_client', 'to_console'],
  state: ['closed', 'open', 'trial'],
  reason: Object.keys(closeReasons),
  role: consoleRoles,
  result: ['admitted', 'ok', 'left', ...Object.keys(refusals)],
}

describe('/metrics', () => {
  it('counts sessions, bytes, admissions, refusals and ends', async () => {
    await using it = await scraped({
      guest: async (peer) => {
        await peer.expect(Buffer.from('keys'))
        await peer.send(Buffer.from('pixels'))
        await peer.expect(Buffer.of(0))
      },
    })
    using client = await open(it.address)
    expect(await it.value('oriel_proxy_sessions', { type: 'novnc', role: 'control' })).toBe(1)
    client.ws.send(Buffer.from('keys'))
    await client.read(6)
    client.ws.send(Buffer.of(0))
    await client.closed()
    await upgrade(it.address, '/')
    const bytes = 'oriel_proxy_relayed_bytes_total'
    expect(await it.value(bytes, { type: 'novnc', direction: 'to_client' })).toBe(6)
    expect(await it.value(bytes, { type: 'novnc', direction: 'to_console' })).toBe(5)
    expect(await it.value('oriel_proxy_sessions', { type: 'novnc', role: 'control' })).toBe(0)
    expect(await it.value('oriel_proxy_sessions_ended_total', { type: 'novnc', reason: 'console_closed' })).toBe(1)
    expect(await it.value('oriel_proxy_admissions_total', { result: 'admitted' })).toBe(1)
    expect(await it.value('oriel_proxy_admissions_total', { result: 'missing_token' })).toBe(1)
  })

  it('has the durations and results of authority, dial and handshake', async () => {
    await using it = await scraped()
    using _client = await open(it.address)
    for (const step of ['authority', 'dial', 'handshake']) {
      expect(await it.value(`oriel_proxy_${step}_seconds_count`, { type: 'novnc', result: 'ok' })).toBe(1)
    }
    it.nova.tokens.set(TOKEN, { instance_uuid: INSTANCE, host: '127.0.0.1', port: await freePort() })
    await upgrade(it.address)
    expect(await it.value('oriel_proxy_dial_seconds_count', { result: 'console_unreachable' })).toBe(1)
    await upgrade(it.address, '/?token=nobody')
    expect(await it.value('oriel_proxy_authority_seconds_count', { result: 'unknown_token' })).toBe(1)
  })

  it("has the state of the authority's breaker", async () => {
    await using it = await scraped()
    const states = async () => [
      await it.value('oriel_proxy_authority_breaker', { state: 'closed' }),
      await it.value('oriel_proxy_authority_breaker', { state: 'open' }),
    ]
    expect(await states()).toEqual([1, 0])
    it.nova.behave(500)
    for (let i = 0; i < 5; i += 1) await upgrade(it.address)
    expect(await states()).toEqual([0, 1])
  })

  it('has the bytes buffered for a client that does not read, and the delay of the event loop', async () => {
    await using it = await scraped({
      guest: async (peer) => {
        await peer.expect(Buffer.of(1))
        await peer.send(Buffer.alloc(64 * 1024 * 1024), { timeoutMs: 60_000 }).catch(() => {})
      },
    })
    using client = await open(it.address)
    client.ws.send(Buffer.of(1))
    client.ws.pause()
    await expect
      .poll(() => it.value('oriel_proxy_buffered_bytes', { type: 'novnc' }))
      .toBeGreaterThanOrEqual(2 * MAX_UNPROVEN_READ_BYTES)
    expect(await it.value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThanOrEqual(0)
  })

  it('has no label with a token, a user, an instance or an address, after every kind of connect', async () => {
    await using it = await scraped({ guest: async (peer) => void (await peer.readToEnd()) })
    const headers = { 'X-Forwarded-For': '192.0.2.7', 'User-Agent': 'curious', Cookie: `token=${TOKEN}` }
    using closing = await open(it.address, { headers })
    closing.ws.close()
    await closing.closed()
    using lost = await open(it.address, { path: `/?token=${OTHER_TOKEN}`, headers })
    lost.ws.terminate()
    await once(lost.ws, 'close')
    using open_ = await open(it.address)
    await upgrade(it.address, '/?token=of-a-stranger')
    await upgrade(it.address, `/?token=${TOKEN}`, ['Origin: http://evil.example'])
    it.nova.behave('reset')
    await upgrade(it.address, `/?token=${OTHER_TOKEN}`)
    // A separate proxy with a short deadline, which no answered look-up may reach.
    await using impatient = await scraped({ timeoutMs: 100 })
    impatient.nova.behave('hang')
    await upgrade(impatient.address, `/?token=${OTHER_TOKEN}`)
    const ownOf = async ({ scrape }: typeof it) => (await scrape()).filter(({ name }) => name.startsWith('oriel_'))
    const own = await ownOf(it)
    expect(own.length).toBeGreaterThan(40)
    for (const { name, labels } of [...own, ...(await ownOf(impatient))]) {
      const { le, ...words } = labels
      if (le !== undefined) expect(Number(le.replace('+Inf', '0')), name).not.toBeNaN()
      for (const [key, word] of Object.entries(words)) expect(WORDS[key], `${name} ${key}`).toContain(word)
    }
    const texts = [it, impatient].map(async ({ proxy }) => (await fetch(`http://${proxy.admin}/metrics`)).text())
    const all = (await Promise.all(texts)).join('')
    const secrets = [TOKEN, OTHER_TOKEN, ADMIN_TOKEN, INSTANCE, it.proxy.sessions()[0]!.id, 'stranger', 'curious']
    for (const text of [...secrets, '127.0.0.1', '192.0.2.7', 'evil']) expect(all).not.toContain(text)
    open_.ws.close()
  })
})
