/** Refusals for clients that offer `oriel.refusals`: a close code and a reason instead of the status. */
import { REFUSALS_SUBPROTOCOL, type RefusalName, refusal, refusalClose } from '@oriel/contract'
import { parseListen } from '@oriel/runtime'
import { connectPeer, freePort } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import {
  dial,
  INSTANCE,
  OTHER_TOKEN,
  open,
  type Running,
  type RunOptions,
  raw,
  running,
  TOKEN,
  UPGRADE,
  upgrade,
} from '../fixture.ts'

const OFFER = `Sec-WebSocket-Protocol: binary, ${REFUSALS_SUBPROTOCOL}`

/** Opens a console like the console pages, and expects a refusal. */
async function refused(address: string, options: { path?: string; headers?: Record<string, string> } = {}) {
  using client = await dial(address, { ...options, protocols: ['binary', REFUSALS_SUBPROTOCOL] })
  expect(client.ws.protocol).toBe(REFUSALS_SUBPROTOCOL)
  const { code, text } = await client.closed()
  return { code, reason: text }
}

const metricOf = async ({ proxy }: Running, result: RefusalName) => {
  const text = await (await fetch(`http://${proxy.admin}/metrics`)).text()
  return text.match(new RegExp(`admissions_total\\{result="${result}"\\} (\\d+)`))?.[1]
}

const ADMIN = '[admin]\nlisten = "127.0.0.1:0"'
const unreachable = async (it: Running) =>
  void it.nova.tokens.set(TOKEN, { instance_uuid: INSTANCE, host: '127.0.0.1', port: await freePort() })

describe('a refusal for a client that offers oriel.refusals', () => {
  it.each<[RefusalName, RunOptions, (it: Running) => unknown, Parameters<typeof refused>[1]]>([
    ['missing_token', {}, () => {}, { path: '/' }],
    ['unknown_token', {}, () => {}, { path: '/?token=nobody' }],
    ['not_found', { consoles: ['novnc', 'serial'] }, () => {}, { path: '/none/?token=t' }],
    ['console_unreachable', {}, unreachable, {}],
    ['console_timeout', { hypervisor: (peer) => peer.closed() }, () => {}, {}],
    ['authority_unavailable', {}, ({ nova }) => nova.behave(503), {}],
  ])(
    'is a close event for %s, with the log line and the metric of the status',
    async (name, options, prepare, request) => {
      const toml = `${ADMIN}\n[hypervisor]\nhandshake_timeout_ms = 50`
      await using it = await running({ ...options, toml })
      await prepare(it)
      expect(await refused(it.address, request)).toEqual(refusalClose(name))
      expect(it.log.records('refused')).toMatchObject([{ refusal: name }])
      expect(await metricOf(it, name)).toBe('1')
      expect(it.proxy.sessions()).toEqual([])
    },
  )

  it('names the origin that is not allowed, without looking up the token', async () => {
    await using it = await running()
    const { code, reason } = await refused(it.address, { headers: { Origin: 'http://evil.example:8080' } })
    expect(code).toBe(4403)
    expect(reason).toBe(`foreign_origin allow=http://evil.example: ${refusal('foreign_origin').text}`)
    expect(it.nova.requests).toEqual([])
  })

  it('names no origin if an entry in origin.allowed would not help', async () => {
    await using it = await running()
    expect(await refused(it.address, { headers: { Origin: 'null' } })).toEqual(refusalClose('foreign_origin'))
  })

  it('says that a watcher cannot take the console over', async () => {
    await using it = await running({
      consoles: ['spice-html5'],
      hypervisor: (peer) => peer.closed({ timeoutMs: 60_000 }),
      admission: (token) => ({ role: token === TOKEN ? 'control' : 'watch' }),
    })
    using user = await dial(it.address)
    const { code, reason } = await refused(it.address, { path: `/?token=${OTHER_TOKEN}` })
    expect([code, reason]).toEqual([4409, refusalClose('in_use', { watches: true }).reason])
    user.ws.terminate()
  })

  it('counts toward the limit on unknown tokens, and contains the time to wait', async () => {
    await using it = await running({ toml: '[sessions]\nunknown_tokens_per_minute = 2' })
    await refused(it.address, { path: '/?token=nobody' })
    expect((await upgrade(it.address, '/?token=nobody')).status).toBe(403)
    const { code, reason } = await refused(it.address, { path: '/?token=nobody' })
    expect(code).toBe(4429)
    expect(reason).toMatch(/^too_many_attempts retry=\d+: /)
    expect((await upgrade(it.address, '/?token=nobody')).status).toBe(429)
  })

  it('does not use up a single-use token', async () => {
    await using it = await running({ toml: '[sessions]\nsingle_use = true' })
    const console = it.nova.tokens.get(TOKEN)!
    await unreachable(it)
    expect((await refused(it.address)).code).toBe(4502)
    it.nova.tokens.set(TOKEN, console)
    using client = await open(it.address)
    expect(client.ws.protocol).toBe('binary')
  })

  it('does not count as a session', async () => {
    await using it = await running({ toml: '[sessions]\nmax_per_token = 1' })
    using _first = await open(it.address)
    expect(await refused(it.address)).toEqual(refusalClose('too_many'))
    expect(await refused(it.address)).toEqual(refusalClose('too_many'))
  })

  it('ends the connection of a client that does not answer the close frame', async () => {
    await using it = await running()
    const { status, body } = await upgrade(it.address, '/?token=nobody', [OFFER])
    expect(status).toBe(101)
    expect(body).toContain('unknown_token: ')
  })

  it('ends the connection of a client that goes on sending messages and pings', async () => {
    await using it = await running()
    using peer = await connectPeer(parseListen(it.address))
    await peer.send(Buffer.from(['GET / HTTP/1.1', 'Host: h', ...UPGRADE, OFFER, '', ''].join('\r\n')))
    const flood = async () => {
      for (;;) await peer.send(Buffer.from('8200000000008900000000008281000000007f', 'hex'))
    }
    await expect(flood()).rejects.toThrow()
  })

  it('is a status for a request that no WebSocket server can accept', async () => {
    await using it = await running()
    const target = 'GET /?token=nobody HTTP/1.1'
    const version = UPGRADE.map((line) => line.replace('Version: 13', 'Version: 8'))
    expect((await raw(it.address, [target, 'Host: h', ...version, OFFER])).status).toBe(400)
    expect((await raw(it.address, [target, 'Host: h/x', ...UPGRADE, OFFER])).status).toBe(400)
    const twice = `${OFFER}, ${REFUSALS_SUBPROTOCOL}`
    expect((await raw(it.address, [target, 'Host: h', ...UPGRADE, twice])).status).toBe(400)
    expect((await raw(it.address, [target, 'Host: h', ...UPGRADE, `${OFFER}, b@d`])).status).toBe(400)
  })
})

describe('a console for a client that offers oriel.refusals', () => {
  it.each([
    [['binary', REFUSALS_SUBPROTOCOL], 'binary'],
    [[REFUSALS_SUBPROTOCOL, 'binary'], 'binary'],
  ])('selects binary from %j', async (protocols, chosen) => {
    await using it = await running()
    using client = await open(it.address, { protocols })
    expect(client.ws.protocol).toBe(chosen)
  })

  it('selects no subprotocol if binary is not offered', async () => {
    await using it = await running()
    using peer = await connectPeer(parseListen(it.address))
    const offer = `Sec-WebSocket-Protocol: ${REFUSALS_SUBPROTOCOL}`
    await peer.send(Buffer.from([`GET /?token=${TOKEN} HTTP/1.1`, 'Host: h', ...UPGRADE, offer, '', ''].join('\r\n')))
    const head = (await peer.read(129)).toString('latin1')
    expect(head).toMatch(/^HTTP\/1.1 101 /)
    expect(head).not.toMatch(/Sec-WebSocket-Protocol/i)
  })
})
