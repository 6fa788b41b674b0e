import { once } from 'node:events'
import { createServer } from 'node:net'
import { faultBody, type RefusalName, refusals } from '@oriel/contract'
import { parseListen } from '@oriel/runtime'
import { connectPeer, freePort } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { INSTANCE, OTHER_TOKEN, open, raw, running, TOKEN, UPGRADE, upgrade } from '../fixture.ts'

/** Checks a response against the catalogue: status, fault, and that the connection closes. */
function expectRefusal(answer: { status: number; head: string; body: string }, name: RefusalName) {
  const { status, text } = refusals[name]
  expect({ status: answer.status, body: JSON.parse(answer.body) }).toEqual({ status, body: faultBody(status, text) })
  expect(answer.head).toContain('\r\nConnection: close')
  expect(answer.head).toContain('\r\nContent-Type: application/json')
}

describe('a refusal before 101', () => {
  it.each<[string, string[]]>([
    ['another Upgrade', ['Connection: Upgrade', 'Upgrade: h2c']],
    [
      'a key of the wrong length',
      ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: short', 'Sec-WebSocket-Version: 13'],
    ],
    ['no key', ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']],
    ['only subprotocols that are not served', [...UPGRADE, 'Sec-WebSocket-Protocol: base64']],
    ['a Host with a slash', [...UPGRADE, 'Host: h/x']],
    ['an empty Host', [...UPGRADE, 'Host: ']],
  ])('bad_request: %s', async (_, headers) => {
    await using proxy = await running()
    const host = headers.some((line) => line.startsWith('Host')) ? [] : ['Host: h.example']
    const answer = await raw(proxy.address, [`GET /?token=${TOKEN} HTTP/1.1`, ...host, ...headers])
    expectRefusal(answer, 'bad_request')
    expect(proxy.nova.requests).toHaveLength(0)
  })

  it('bad_request: another version of the WebSocket protocol, with the supported one in the response', async () => {
    await using proxy = await running()
    const lines = UPGRADE.map((line) => line.replace('Version: 13', 'Version: 8'))
    const answer = await raw(proxy.address, ['GET / HTTP/1.1', 'Host: h', ...lines])
    expectRefusal(answer, 'bad_request')
    expect(answer.head).toContain('\r\nSec-WebSocket-Version: 13')
  })

  it('CVE-2024-37890 header floods: 3,000 headers are refused, with and without a hidden Origin', async () => {
    await using proxy = await running()
    const flood = Array.from({ length: 3000 }, (_, i) => `${i.toString(36)}:`)
    const answer = await upgrade(proxy.address, `/?token=${TOKEN}`, [...flood, 'Origin: http://evil.example'])
    expect([400, 431]).toContain(answer.status)
    const fewer = Array.from({ length: 1500 }, (_, i) => `${i.toString(36)}:`)
    expectRefusal(
      await upgrade(proxy.address, `/?token=${TOKEN}`, [...fewer, 'Origin: http://evil.example']),
      'bad_request',
    )
    expect(proxy.nova.requests).toHaveLength(0)
  })

  it('missing_token: neither query nor cookie has a token', async () => {
    await using proxy = await running()
    expectRefusal(await upgrade(proxy.address, '/'), 'missing_token')
  })

  it('unknown_token: Nova does not know the token, or it is malformed and Nova is not called', async () => {
    await using proxy = await running()
    expectRefusal(await upgrade(proxy.address, '/?token=00000000-0000-0000-0000-000000000000'), 'unknown_token')
    const asked = proxy.nova.requests.length
    expectRefusal(await upgrade(proxy.address, '/?token=..'), 'unknown_token')
    expectRefusal(await upgrade(proxy.address, '/?token=a%2F..%2Fb'), 'unknown_token')
    expect(proxy.nova.requests).toHaveLength(asked)
  })

  it.each([
    ['foreign', ['Origin: http://evil.example']],
    ['null', ['Origin: null']],
    ['look-alike', ['Host: h.example', 'Origin: http://h.example.evil.example']],
    ['two Origin headers', ['Host: h.example', 'Origin: http://h.example', 'Origin: http://h.example']],
  ])('CVE-2015-0259 cross-site hijack: %s is foreign_origin, and the token is not looked up', async (_, headers) => {
    await using proxy = await running()
    expectRefusal(await upgrade(proxy.address, `/?token=${TOKEN}`, headers), 'foreign_origin')
    expect(proxy.nova.requests).toHaveLength(0)
  })

  it('allowed-origin poisoning: the Host of one request is not an allowed origin for another', async () => {
    await using proxy = await running()
    const origin = 'Origin: http://evil.example'
    const nobody = '/?token=of-nobody'
    expectRefusal(await upgrade(proxy.address, nobody, ['Host: evil.example', origin]), 'unknown_token')
    expectRefusal(await upgrade(proxy.address, nobody, [origin]), 'foreign_origin')
  })

  it.each([500, 503, 'reset', 'hang'] as const)('authority_unavailable: Nova answers %s', async (behaviour) => {
    await using proxy = await running({ timeoutMs: 300 })
    proxy.nova.behave(behaviour)
    expectRefusal(await upgrade(proxy.address), 'authority_unavailable')
  })

  it('authority_unavailable: a Nova too old for connect info', async () => {
    await using proxy = await running({ maxMicroversion: '2.30' })
    expectRefusal(await upgrade(proxy.address), 'authority_unavailable')
    expect(JSON.stringify(proxy.log.records('refused')[0]?.err)).toContain('microversion 2.30')
  })

  it.each([{ port: -1 }, { host: 'not a host' }])(
    'console_unreachable: connect info %j, which closes the proxy to no other tenant',
    async (fault) => {
      await using proxy = await running({ toml: '[admin]\nlisten = "127.0.0.1:0"' })
      // A real Nova returns port -1 for a token of a stopped instance.
      proxy.nova.tokens.set(OTHER_TOKEN, { instance_uuid: INSTANCE, host: '10.0.0.5', port: 5900, ...fault })
      for (let i = 0; i < 7; i += 1) {
        expectRefusal(await upgrade(proxy.address, `/?token=${OTHER_TOKEN}`), 'console_unreachable')
      }
      expect((await fetch(`http://${proxy.proxy.admin}/readyz`)).status).toBe(200)
      using _other = await open(proxy.address)
    },
  )

  it('authority_unavailable: Nova failed several times, so refusals are immediate and /readyz reports it', async () => {
    await using proxy = await running({ toml: '[admin]\nlisten = "127.0.0.1:0"' })
    const ready = () =>
      fetch(`http://${proxy.proxy.admin}/readyz`).then(async (it) => ({ status: it.status, body: await it.json() }))
    expect((await ready()).status).toBe(200)
    proxy.nova.behave(500)
    for (let i = 0; i < 5; i += 1) expectRefusal(await upgrade(proxy.address), 'authority_unavailable')
    expect(await ready()).toMatchObject({ status: 503, body: { checks: { authority: 'failing' } } })
    const asked = proxy.nova.requests.length
    expectRefusal(await upgrade(proxy.address), 'authority_unavailable')
    expect(proxy.nova.requests).toHaveLength(asked)
  })

  it('console_unreachable: nothing listens at the address', async () => {
    await using proxy = await running()
    proxy.nova.tokens.set(TOKEN, { instance_uuid: INSTANCE, host: '127.0.0.1', port: await freePort() })
    expectRefusal(await upgrade(proxy.address), 'console_unreachable')
    expect(proxy.log.records('refused')[0]).toMatchObject({ detail: 'no connection: ECONNREFUSED' })
  })

  it('console_unreachable: the server speaks another protocol or disconnects', async () => {
    await using other = await running({ hypervisor: (peer) => peer.send(Buffer.from('HTTP/1.1 400')) })
    expectRefusal(await upgrade(other.address), 'console_unreachable')
    await using gone = await running({ hypervisor: async () => {} })
    expectRefusal(await upgrade(gone.address), 'console_unreachable')
  })

  it('console_timeout: the server accepts the connection and stays silent', async () => {
    const toml = '[hypervisor]\nhandshake_timeout_ms = 50'
    await using proxy = await running({ hypervisor: (peer) => peer.closed(), toml })
    expectRefusal(await upgrade(proxy.address), 'console_timeout')
  })

  it('security_failed: the server requires a password, which only the log mentions', async () => {
    await using proxy = await running({
      hypervisor: async (peer) => {
        await peer.send(Buffer.from('RFB 003.008\n'))
        await peer.read(12)
        await peer.send(Buffer.of(1, 2))
        await peer.closed()
      },
    })
    expectRefusal(await upgrade(proxy.address), 'security_failed')
    expect(proxy.log.records('refused')[0]?.detail).toContain('VncAuthentication (2)')
  })

  it('security_failed: CVE-2023-43826 hostile server that floods the handshake', async () => {
    await using proxy = await running({
      hypervisor: async (peer) => {
        await peer.send(Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.alloc(100_000, 1)]))
        await peer.closed()
      },
    })
    expectRefusal(await upgrade(proxy.address), 'security_failed')
  })

  it('unlimited sessions per token: one connect above the limit is too_many, and another token is served', async () => {
    await using proxy = await running({ toml: '[sessions]\nmax_per_token = 2' })
    using _one = await open(proxy.address)
    using two = await open(proxy.address)
    expectRefusal(await upgrade(proxy.address), 'too_many')
    using _other = await open(proxy.address, { path: '/?token=0b7a3c11-5b7c-4d6e-9a39-7f1f9f1f0e55' })
    two.ws.close()
    await two.closed()
    await expectSessions(proxy, 2)
    using _three = await open(proxy.address)
    expectRefusal(await upgrade(proxy.address), 'too_many')
  })

  it.each(['max_total', 'max_per_instance', 'max_per_client'])(
    'too_many: %s is reached, and a refused connect releases its slot',
    async (limit) => {
      await using proxy = await running({ toml: `[sessions]\n${limit} = 1` })
      const { port } = proxy.hypervisor
      proxy.nova.tokens.set(TOKEN, { instance_uuid: INSTANCE, host: '127.0.0.1', port: await freePort() })
      expectRefusal(await upgrade(proxy.address), 'console_unreachable')
      proxy.nova.tokens.set(TOKEN, { instance_uuid: INSTANCE, host: '127.0.0.1', port })
      using _client = await open(proxy.address)
      expectRefusal(await upgrade(proxy.address), 'too_many')
    },
  )

  it('concurrent connects with one token make one look-up', async () => {
    await using proxy = await running()
    using _first = await open(proxy.address)
    const lookUps = () => proxy.nova.requests.filter(({ url }) => url.includes('os-console-auth-tokens')).length
    const asked = lookUps()
    const many = await Promise.all(Array.from({ length: 8 }, () => open(proxy.address)))
    expect(lookUps() - asked).toBeLessThan(8)
    for (const client of many) client[Symbol.dispose]()
  })

  it('a client that disconnects during the look-up gets no console', async () => {
    await using proxy = await running()
    proxy.nova.behave('hang')
    const peer = await connectPeer(parseListen(proxy.address))
    await peer.send(Buffer.from([`GET /?token=${TOKEN} HTTP/1.1`, 'Host: h', ...UPGRADE, '', ''].join('\r\n')))
    await proxy.nova.requested(1)
    peer.socket.resetAndDestroy()
    await expect.poll(() => proxy.log.records('client left before its console opened')).toHaveLength(1)
    expect(proxy.hypervisor.connections).toBe(0)
  })

  it('client-chosen target: the host and port in a request are not dialled', async () => {
    const strangers: unknown[] = []
    const stranger = createServer((socket) => void strangers.push(socket.destroy())).listen(0, '127.0.0.1')
    await once(stranger, 'listening')
    const { port } = stranger.address() as { port: number }
    await using proxy = await running()
    using _client = await open(proxy.address, { path: `/?token=${TOKEN}&host=127.0.0.1&port=${port}` })
    expect(strangers).toHaveLength(0)
    expect(proxy.hypervisor.connections).toBe(1)
    stranger.close()
  })

  it('CVE-2026-73565: 2,000 bad upgrades leave no session, no limit and no connection behind', async () => {
    await using proxy = await running({
      toml: '[sessions]\nmax_total = 1\nunknown_tokens_per_minute = 5000\n[admin]\nlisten = "127.0.0.1:0"',
    })
    for (let i = 0; i < 40; i += 1) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => upgrade(proxy.address, '/?token=nobody')))
      expect(new Set(answers.map(({ status }) => status))).not.toContain(101)
      proxy.log.lines.length = 0
    }
    expect(proxy.proxy.sessions()).toHaveLength(0)
    using _client = await open(proxy.address)
    const metrics = await (await fetch(`http://${proxy.proxy.admin}/metrics`)).text()
    expect(metrics).toContain('oriel_proxy_sessions{type="novnc",role="control"} 1')
    expect(metrics).toContain('oriel_proxy_admissions_total{result="admitted"} 1')
    expect(metrics).toContain('oriel_proxy_admissions_total{result="unknown_token"} 2000')
    for (const secret of [TOKEN, INSTANCE, '127.0.0.1']) expect(metrics).not.toContain(secret)
  })
})

describe('the subprotocol', () => {
  it.each([
    'binary, binary',
    'binary,binary',
    'base64, binary, base64',
    'binary,',
    ',binary',
    'binary,,base64',
    'bin ary, binary',
    'binary, a/b',
    'binary\u00a0',
    '',
    'binary, oriel.page.',
    `binary, oriel.page.${'A'.repeat(21)}`,
    `binary, oriel.page.${'A'.repeat(21)}B`,
    `binary, oriel.page.${'A'.repeat(23)}`,
    `binary, oriel.page.${'A'.repeat(22)}, oriel.page.${'B'.repeat(21)}A`,
  ])('offered as %j is bad_request, without a look-up or a dial', async (offered) => {
    await using proxy = await running()
    expectRefusal(
      await upgrade(proxy.address, `/?token=${TOKEN}`, [`Sec-WebSocket-Protocol: ${offered}`]),
      'bad_request',
    )
    expect(proxy.nova.requests).toHaveLength(0)
    expect(proxy.hypervisor.connections).toBe(0)
    expect(proxy.log.records('client left before its console opened')).toEqual([])
  })

  it.each([
    [['binary'], 'binary'],
    [['base64', 'binary'], 'binary'],
    [[`oriel.page.${'A'.repeat(22)}`, 'binary'], 'binary'],
    [[], ''],
  ])('for an offer of %j is %j', async (protocols, chosen) => {
    await using proxy = await running()
    using client = await open(proxy.address, { protocols })
    expect(client.ws.protocol).toBe(chosen)
  })
})

async function expectSessions(proxy: { proxy: { sessions(): readonly unknown[] } }, count: number): Promise<void> {
  await expect.poll(() => proxy.proxy.sessions().length).toBe(count)
}
