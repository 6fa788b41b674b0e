/** The resources that unauthenticated clients can use in a running proxy, at the expense of others. */
import { connect, type Socket } from 'node:net'
import { refusals } from '@oriel/contract'
import { addressSet, networkOf, parseListen } from '@oriel/runtime'
import { type Peer, temporaryPki, within } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { UnauthenticatedLimits } from '../../src/admit/unauthenticated-limits.ts'
import { Refused } from '../../src/refused.ts'
import { OTHER_TOKEN, open, type Running, running, TOKEN, UPGRADE } from '../fixture.ts'

const TRUSTED = '[origin]\ntrusted_proxies = ["127.0.0.1"]'
const DROPPED = 'connections of a client are dropped'
const upgradeText = (token: string, ...headers: string[]) =>
  [`GET /?token=${token} HTTP/1.1`, 'Host: h', ...UPGRADE, ...headers, '', ''].join('\r\n')

/** Connections that are dropped with the test. */
class Crowd {
  readonly #sockets: Socket[] = []

  /** Opens a connection that sends only `text`. */
  come(address: string, text = '', localAddress = '127.0.0.1'): Socket {
    const socket = connect({ ...parseListen(address), localAddress })
    socket.on('error', () => {})
    if (text !== '') socket.write(text)
    this.#sockets.push(socket)
    return socket
  }

  get closed(): number {
    return this.#sockets.filter(({ closed, readableEnded }) => closed || readableEnded).length
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets.splice(0)) socket.destroy()
  }
}

/** Returns the head of the response, or '' if the connection was dropped. */
function answer(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let text = ''
  socket.once('close', () => resolve(text))
  socket.on('data', (data) => {
    text += data.toString('latin1')
    if (text.includes('\r\n\r\n')) resolve(text)
  })
  return within(promise, 20_000, () => 'no answer')
}

const PAGE = 'GET /oriel.json HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'

describe('waiting connections of one client', () => {
  it.each([
    ['in plaintext', async () => ({ toml: '', [Symbol.asyncDispose]: async () => {} })],
    ['before TLS', secured],
  ])('%s are limited, and other clients are served', async (_, listener) => {
    await using listen = await listener()
    await using proxy = await running({ toml: `${listen.toml}\n[sessions]\nmax_waiting_per_client = 8` })
    using crowd = new Crowd()
    for (let i = 0; i < 20; i += 1) crowd.come(proxy.address).resume()
    await expect.poll(() => crowd.closed).toBe(12)
    expect(proxy.log.records(DROPPED)).toMatchObject([{ client: '127.0.0.1', level: 'warn' }])
    using neighbour = new Crowd()
    for (let i = 0; i < 8; i += 1) neighbour.come(proxy.address, '', '127.0.0.2').resume()
    if (listen.toml === '') {
      neighbour[Symbol.dispose]()
      await expect.poll(() => answer(neighbour.come(proxy.address, PAGE, '127.0.0.2'))).toContain(' 200 ')
      crowd[Symbol.dispose]()
      await expect.poll(() => answer(crowd.come(proxy.address, PAGE))).toContain(' 200 ')
    } else expect(neighbour.closed).toBe(0)
  })

  it('do not include those with a console', async () => {
    await using proxy = await running({ toml: '[sessions]\nmax_waiting_per_client = 1' })
    const clients = []
    for (let i = 0; i < 4; i += 1) clients.push(await open(proxy.address))
    for (const client of clients) client[Symbol.dispose]()
    expect(proxy.log.records(DROPPED)).toEqual([])
  })

  it('that are silent and from many addresses do not block a new one: the oldest is dropped', async () => {
    await using proxy = await running({ toml: '[sessions]\nmax_total = 1' })
    using crowd = new Crowd()
    for (let client = 1; client <= 5; client += 1) {
      for (let i = 0; i < 256; i += 1) crowd.come(proxy.address, '', `127.0.1.${client}`).resume()
    }
    // Those above 1 + 512 that wait, whichever way; a listener takes 1 + 1024. On a slow machine the deadline for a
    // request's headers closes more.
    await expect.poll(() => crowd.closed).toBeGreaterThanOrEqual(5 * 256 - 513)
    expect(await answer(crowd.come(proxy.address, PAGE, '127.0.0.9'))).toContain(' 200 ')
    expect(await answer(crowd.come(proxy.address, upgradeText(TOKEN), '127.0.0.10'))).toContain(' 101 ')
    expect(proxy.log.records('too many waiting connections: new ones replace silent ones')).toMatchObject([
      { client: '127.0.1.1' },
    ])
  })

  it('through a trusted load balancer count for the client in its header', async () => {
    const silent = { hypervisor: (peer: { closed(): Promise<void> }) => peer.closed() }
    await using proxy = await running({ ...silent, toml: `${TRUSTED}\n[sessions]\nmax_waiting_per_client = 2` })
    using crowd = new Crowd()
    const come = (client: string) => crowd.come(proxy.address, upgradeText(TOKEN, `X-Forwarded-For: ${client}`))
    for (let i = 0; i < 5; i += 1) crowd.come(proxy.address)
    for (let i = 0; i < 2; i += 1) come('192.0.2.7')
    await expect.poll(() => proxy.hypervisor.connections).toBe(2)
    const refused = await answer(come('192.0.2.7'))
    expect(refused).toContain(' 429 ')
    expect(refused).toMatch(/\r\nRetry-After: \d+\r\n/)
    come('192.0.2.8')
    await expect.poll(() => proxy.hypervisor.connections).toBe(3)
    expect(proxy.log.records(DROPPED)).toMatchObject([{ client: '192.0.2.7' }])
  })

  it('with a PROXY header count for the client in it', async () => {
    await using proxy = await running({
      toml: `proxy_protocol = true\n${TRUSTED}\n[sessions]\nmax_waiting_per_client = 2`,
    })
    using crowd = new Crowd()
    const header = (client: string) => `PROXY TCP4 ${client} 192.0.2.1 1024 443\r\n`
    for (let i = 0; i < 5; i += 1) crowd.come(proxy.address, header('192.0.2.7')).resume()
    await expect.poll(() => crowd.closed).toBe(3)
    expect(await answer(crowd.come(proxy.address, header('192.0.2.8') + PAGE))).toContain(' 200 ')
  })

  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:207', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8::7', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:8::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', ''],
  ])('from %j count for %j', (address, network) => expect(networkOf(address)).toBe(network))
})

const secured = async () => {
  const { path, ...pki } = await temporaryPki()
  return { ...pki, toml: `tls = { cert_file = "${path}/server-cert.pem", key_file = "${path}/server-key.pem" }` }
}

describe('unknown tokens', () => {
  const lookUps = ({ nova }: Running) =>
    nova.requests.filter(({ url }) => url.includes('os-console-auth-tokens')).length

  it('cause a limited number of look-ups, while other addresses and valid tokens are served', async () => {
    await using proxy = await running({ toml: '[sessions]\nunknown_tokens_per_minute = 3' })
    using crowd = new Crowd()
    const ask = (token: string, from = '127.0.0.1') => answer(crowd.come(proxy.address, upgradeText(token), from))
    for (let i = 0; i < 8; i += 1) (await open(proxy.address))[Symbol.dispose]()
    const asked = lookUps(proxy)
    for (let i = 0; i < 3; i += 1) expect(await ask(`stranger-${i}`)).toContain(' 403 ')
    const refused = await ask('stranger-4')
    expect(refused).toContain(' 429 ')
    expect(refused).toContain(refusals.too_many_attempts.text)
    expect(refused).toMatch(/\r\nRetry-After: \d+\r\n/)
    expect(lookUps(proxy) - asked).toBe(3)
    expect(await ask(TOKEN, '127.0.0.2')).toContain(' 101 ')
  })

  it('cause as many look-ups concurrently as sequentially', async () => {
    await using proxy = await running({ toml: '[sessions]\nunknown_tokens_per_minute = 3' })
    using crowd = new Crowd()
    const guesses = Array.from({ length: 60 }, (_, i) =>
      answer(crowd.come(proxy.address, upgradeText(`stranger-${i}`))),
    )
    const statuses = (await Promise.all(guesses)).map((text) => text.split(' ')[1])
    expect(statuses.filter((status) => status === '403')).toHaveLength(3)
    expect(statuses.filter((status) => status === '429')).toHaveLength(57)
    expect(lookUps(proxy)).toBe(3)
  })

  it('through a trusted load balancer count for the client in its header', async () => {
    await using proxy = await running({ toml: `${TRUSTED}\n[sessions]\nunknown_tokens_per_minute = 1` })
    using crowd = new Crowd()
    const ask = (token: string, client: string) =>
      answer(crowd.come(proxy.address, upgradeText(token, `X-Forwarded-For: ${client}`)))
    expect(await ask('stranger-1', '192.0.2.7')).toContain(' 403 ')
    expect(await ask('stranger-2', '192.0.2.7')).toContain(' 429 ')
    expect(await ask('stranger-3', '192.0.2.8')).toContain(' 403 ')
    expect(await ask(TOKEN, '192.0.2.9')).toContain(' 101 ')
  })

  const FORWARDED = 'Forwarded: for=192.0.2.7;proto=https'
  it.each<[string, string, (i: number) => string]>([
    ['X-Forwarded-Proto', FORWARDED, () => 'X-Forwarded-Proto: https'],
    ['X-Forwarded-Host', FORWARDED, () => 'X-Forwarded-Host: h'],
    ['an empty X-Forwarded-For', FORWARDED, () => 'X-Forwarded-For:'],
    ['an X-Forwarded-For of empty elements', FORWARDED, () => 'X-Forwarded-For: ,'],
    ['the address of the balancer in X-Forwarded-For', FORWARDED, () => 'X-Forwarded-For: 127.0.0.1'],
    ['another X-Forwarded-For each time', FORWARDED, (i) => `X-Forwarded-For: 198.51.100.${i}`],
    ['another Forwarded each time', 'X-Forwarded-For: 192.0.2.7', (i) => `Forwarded: for=198.51.100.${i}`],
    ['the address of the balancer in Forwarded', 'X-Forwarded-For: 192.0.2.7', () => 'Forwarded: for=127.0.0.1'],
  ])('count behind a trusted load balancer when the client adds %s', async (_, written, added) => {
    await using proxy = await running({ toml: `${TRUSTED}\n[sessions]\nunknown_tokens_per_minute = 2` })
    using crowd = new Crowd()
    const statuses = []
    for (let i = 0; i < 4; i += 1) {
      const text = await answer(crowd.come(proxy.address, upgradeText(`stranger-${i}`, added(i), written)))
      statuses.push(text.split(' ')[1])
    }
    expect(statuses).toEqual(['403', '403', '429', '429'])
    expect(lookUps(proxy)).toBe(2)
    const neighbour = await answer(crowd.come(proxy.address, upgradeText(TOKEN, written.replace('.7', '.8'))))
    expect(neighbour).toContain(' 101 ')
  })

  it.each([
    ['x-forwarded', 'X-Forwarded-For: 192.0.2.7', (i: number) => `Forwarded: for=198.51.100.${i}`],
    ['forwarded', FORWARDED, (i: number) => `X-Forwarded-For: 198.51.100.${i}`],
  ])(
    'count only for the client in the header that origin.forwarded_header = %j selects',
    async (setting, written, added) => {
      const toml = `${TRUSTED}\nforwarded_header = "${setting}"\n[sessions]\nunknown_tokens_per_minute = 1`
      await using proxy = await running({ toml })
      using crowd = new Crowd()
      const ask = (i: number) => answer(crowd.come(proxy.address, upgradeText(`stranger-${i}`, added(i), written)))
      expect(await ask(1)).toContain(' 403 ')
      expect(await ask(2)).toContain(' 429 ')
      expect(proxy.log.records('refused')).toMatchObject([{ client: '192.0.2.7' }, { client: '192.0.2.7' }])
    },
  )
})

describe('the limit of look-ups', () => {
  const unknown = () => new Refused('unknown_token', 'no such token')
  const crowdOf = (count: number, perMinute: number) => {
    const limits = new UnauthenticatedLimits({
      maxWaitingPerClient: 1,
      unknownTokensPerMinute: perMinute,
      trustedProxies: addressSet([]),
      onFull: () => {},
    })
    const pending: PromiseWithResolvers<string>[] = []
    const lookUp = () => {
      const one = Promise.withResolvers<string>()
      pending.push(one)
      return one.promise
    }
    const asked = Array.from({ length: count }, () => limits.ask('192.0.2.7', lookUp))
    const outcomes = Promise.allSettled(asked).then((all) =>
      all.map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Refused).refusal)),
    )
    return { limits, pending, lookUp, outcomes }
  }
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

  it('holds for 500 concurrent requests: never more than the limit reach the authority', async () => {
    const { pending, outcomes } = crowdOf(500, 4)
    await settled()
    expect(pending).toHaveLength(4)
    for (const one of pending) one.reject(unknown())
    const all = await outcomes
    expect(all.filter((outcome) => outcome === 'unknown_token')).toHaveLength(4)
    expect(all.filter((outcome) => outcome === 'too_many_attempts')).toHaveLength(496)
    expect(pending).toHaveLength(4)
  })

  it('admits 500 concurrent clients with valid tokens, with a limited number of look-ups at a time', async () => {
    const { pending, outcomes } = crowdOf(500, 4)
    for (let answered = 0; answered < 500; answered += 1) {
      await settled()
      expect(pending.length - answered).toBeLessThanOrEqual(4)
      pending[answered]!.resolve('found')
    }
    expect(new Set(await outcomes)).toEqual(new Set(['found']))
  })

  it('does not count a failure of the authority', async () => {
    const { limits, pending, lookUp, outcomes } = crowdOf(4, 4)
    await settled()
    for (const one of pending) one.reject(new Refused('authority_unavailable', 'no answer'))
    await outcomes
    const next = limits.ask('192.0.2.7', lookUp)
    await settled()
    pending.at(-1)!.resolve('found')
    expect(await next).toBe('found')
  })

  it('counts a look-up whose client disconnected before the answer', async () => {
    const { limits, pending, lookUp, outcomes } = crowdOf(4, 4)
    await settled()
    for (const one of pending) one.reject(new Error('the client left'))
    await outcomes
    await expect(limits.ask('192.0.2.7', lookUp)).rejects.toMatchObject({ refusal: 'too_many_attempts' })
  })

  it('makes no look-up for a client that disconnected while it waited', async () => {
    const { limits, pending, lookUp, outcomes } = crowdOf(4, 4)
    await settled()
    const left = new AbortController()
    const late = expect(limits.ask('192.0.2.7', lookUp, left.signal)).rejects.toThrow('the client left')
    left.abort(new Error('the client left'))
    for (const one of pending) one.resolve('found')
    await outcomes
    await late
    expect(pending).toHaveLength(4)
  })

  it('counts each network separately', async () => {
    const { limits, lookUp, pending } = crowdOf(5, 4)
    void limits.ask('2001:db8::1', lookUp)
    await settled()
    expect(pending).toHaveLength(5)
  })
})

describe('a client that a trusted load balancer sends in an unusual format', () => {
  it.each([
    ['with a port', 'X-Forwarded-For: 192.0.2.7:51234', 'X-Forwarded-For: 192.0.2.7:51235'],
    ['with brackets and a port', 'X-Forwarded-For: [2001:dba::1]:1', 'X-Forwarded-For: [2001:dba::1]:2'],
    ['by Forwarded', 'Forwarded: for="[2001:dba::1]:1"', 'Forwarded: for="[2001:dba::2]:2"'],
    ['by a hidden name', 'Forwarded: for=_gazonk', 'Forwarded: for=_gazonk'],
    ['by no address', 'X-Forwarded-For: some where', 'X-Forwarded-For: some where'],
  ])('%s is limited separately', async (_, first, second) => {
    await using proxy = await running({ toml: `${TRUSTED}\n[sessions]\nunknown_tokens_per_minute = 1` })
    using crowd = new Crowd()
    const ask = (token: string, header: string) => answer(crowd.come(proxy.address, upgradeText(token, header)))
    expect(await ask('stranger-1', first)).toContain(' 403 ')
    expect(await ask('stranger-2', second)).toContain(' 429 ')
    expect(await ask('stranger-3', 'X-Forwarded-For: 192.0.2.8')).toContain(' 403 ')
  })
})

describe('unlimited sessions per token', () => {
  it('a flood with one token takes its own sessions alone; other tenants keep their service under that flood', async () => {
    await using proxy = await running({
      guest: echo,
      toml: '[sessions]\nmax_per_token = 4\nmax_waiting_per_client = 64',
      // Flood clients that have a console send nothing, and must keep it to the end.
      timing: { clientHandshakeMs: 120_000 },
    })
    const flood = startFlood(proxy.address)
    await expect.poll(flood.refused).toBeGreaterThan(50)
    for (let i = 0; i < 10; i += 1) {
      const before = flood.refused()
      using other = await open(proxy.address, { path: `/?token=${OTHER_TOKEN}`, localAddress: '127.0.0.2' })
      other.ws.send(Buffer.from('echo'))
      expect(String(await other.read(4))).toBe('echo')
      await expect.poll(flood.refused).toBeGreaterThan(before)
    }
    const { statuses } = await flood.stop()
    expect(Object.fromEntries(statuses)).toEqual({ 101: 4, 429: expect.any(Number) })
    await expect.poll(() => proxy.proxy.sessions()).toEqual([])
  })
})

/** A guest that echoes its input until the console is closed. */
async function echo(guest: Peer): Promise<void> {
  for (let open = true; open; ) {
    const bytes = await guest.read(4, { timeoutMs: 60_000 }).catch(() => undefined)
    if (bytes) await guest.send(bytes)
    else open = false
  }
}

/** A repeated flood of forty silent connections and sixteen connects with one token. */
function startFlood(address: string) {
  const crowd = new Crowd()
  for (let i = 0; i < 40; i += 1) crowd.come(address)
  const statuses = new Map<string, number>()
  let flooding = true
  const one = async () => {
    while (flooding) {
      const socket = crowd.come(address, upgradeText(TOKEN))
      const status = (await answer(socket)).split(' ')[1] ?? 'dropped'
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status !== '101') socket.destroy()
    }
  }
  const all = Promise.all(Array.from({ length: 16 }, one))
  return {
    refused: () => statuses.get('429') ?? 0,
    stop: async () => {
      flooding = false
      await all
      crowd[Symbol.dispose]()
      return { statuses }
    },
  }
}
