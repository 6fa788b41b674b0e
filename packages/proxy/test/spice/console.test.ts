/** Native SPICE at the side of the hypervisor: identity, message policy, live migration, and `.vv` files. */
import { hex, type Peer, scriptedServer } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { RateLimit } from '../../src/admit/rate-limit.ts'
import { subjectMatches } from '../../src/hypervisor/certificate-subject.ts'
import { allowedHosts } from '../../src/spice/session/target.ts'
import { u32 } from '../../src/spice/wire/link.ts'
import { buildMigrationTarget, parseMigrationTarget } from '../../src/spice/wire/main-messages.ts'
import { channelTypes, linkErrors } from '../../src/spice/wire/protocol.ts'
import { createTicketKeys } from '../../src/spice/wire/ticket-keys.ts'
import { INSTANCE, OTHER_TOKEN, TOKEN } from '../fixture.ts'
import {
  asQemu,
  CHANNELS,
  CLOSED,
  CONNECTION_ID,
  INIT,
  message,
  NAME,
  passwordOf,
  runningSpice,
  type ServedLink,
  serveLink,
  uuidMessage,
  view,
} from './fixture.ts'

const OTHER_INSTANCE = '11111111-2222-4333-8444-555555555555'
const { ok, permission_denied } = linkErrors

describe('the .vv endpoint', () => {
  it('serves a file with the port and a ticket, and nothing about the hypervisor', async () => {
    await using run = await runningSpice({ toml: 'public_host = "console.example"\npublic_port = 443' })
    const response = await run.file()
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/x-virt-viewer',
      'content-disposition': `attachment; filename="${INSTANCE}.vv"`,
      'cache-control': 'no-store',
    })
    const file = await response.text()
    expect(file.split('\n')).toEqual([
      '[virt-viewer]',
      'type=spice',
      'host=console.example',
      'port=443',
      expect.stringMatching(/^password=[\w-]{32}$/),
      'delete-this-file=1',
      `title=Console of ${INSTANCE}`,
      'toggle-fullscreen=shift+f11',
      'release-cursor=shift+f12',
      '',
    ])
  })

  it('creates a ticket for each request at either path while the token is valid', async () => {
    await using run = await runningSpice()
    const other = await fetch(`http://${run.proxy.listeners[0]!.address}/nova-console.vv?token=${TOKEN}`)
    const tickets = new Set([await run.ticket(), await run.ticket(), passwordOf(await other.text())])
    expect(tickets.size).toBe(3)
    run.nova.tokens.delete(TOKEN)
    expect((await run.file()).status).toBe(404)
  })

  it('answers HEAD without creating a ticket or asking Nova', async () => {
    await using run = await runningSpice()
    const response = await run.file(TOKEN, { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(run.nova.requests).toEqual([])
    expect(run.hypervisor.connections).toBe(0)
    expect((await run.file(TOKEN, { method: 'POST' })).status).toBe(405)
  })

  it.each([
    ['an unknown token', 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee', 404, 'is invalid or has expired'],
    ['no token', '', 404, 'is invalid or has expired'],
    ['a malformed token', '%3Cscript%3E', 404, 'is invalid or has expired'],
    ['a token of another type', OTHER_TOKEN, 404, 'another console type'],
  ])('answers a request with %s with a page that says what to do', async (_name, token, status, words) => {
    await using run = await runningSpice()
    const { instance_uuid, host, port } = run.nova.tokens.get(TOKEN)!
    run.nova.tokens.set(OTHER_TOKEN, { instance_uuid, host, port })
    const response = await run.file(token)
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    const page = await response.text()
    expect(page).toContain(words)
    expect(page).not.toContain('<script')
    expect(run.hypervisor.connections).toBe(0)
  })

  it.each([
    ['refuses the link', { script: { reply: 'error' } }, 502],
    ['requires SASL', { script: { common: 0x0d } }, 502],
    ['requires TLS and its TLS port is unknown', { script: { reply: 'need_secured' } }, 502],
    ['does not support MINI_HEADER', { script: { common: 0x03 } }, 502],
    ['speaks another protocol', { hypervisor: (peer: Peer) => peer.send(Buffer.from('RFB 003.008\n'.repeat(3))) }, 502],
    ['closes at once', { hypervisor: async () => {} }, 502],
    ['sends nothing', { hypervisor: (peer: Peer) => peer.closed(), bounds: { probeTimeoutMs: 100 } }, 504],
  ] as const)('serves an error page when the hypervisor %s', async (_name, options, status) => {
    await using run = await runningSpice(options)
    const response = await run.file()
    expect(response.status).toBe(status)
    expect(await response.text()).toContain('The console did not open')
  })

  it('reports an unreachable console, and a Nova that does not answer', async () => {
    await using run = await runningSpice()
    run.nova.tokens.set(TOKEN, { ...run.nova.tokens.get(TOKEN)!, port: 1 })
    expect((await run.file()).status).toBe(502)
    run.nova.behave('reset')
    expect((await run.file()).status).toBe(503)
  })

  it('accepts connect info without a plaintext port in each form that Nova uses', async () => {
    await using run = await runningSpice()
    const console = run.nova.tokens.get(TOKEN)!
    for (const tls_port of [null, 0, -1]) {
      run.nova.tokens.set(TOKEN, { ...console, tls_port })
      expect((await run.file()).status).toBe(200)
    }
    run.nova.tokens.set(TOKEN, { ...console, port: 0, tls_port: -1 })
    expect((await run.file()).status).toBe(502)
  })

  it('serves one file for a single-use token, also after a failed request', async () => {
    await using run = await runningSpice({ toml: '[sessions]\nsingle_use = true' })
    const console = run.nova.tokens.get(TOKEN)!
    run.nova.tokens.set(TOKEN, { ...console, port: 1 })
    expect((await run.file()).status).toBe(502)
    run.nova.tokens.set(TOKEN, console)
    const first = await run.file()
    expect([first.status, (await run.file()).status]).toEqual([200, 404])
    expect((await view(run, passwordOf(await first.text()))).result).toBe(ok)
  })

  it('limits requests per client address and sends Retry-After', async () => {
    await using run = await runningSpice({ toml: 'files_per_minute = 2' })
    const began = performance.now()
    expect([(await run.file()).status, (await run.file('x')).status]).toEqual([200, 404])
    const late = await run.file()
    expect(late.status).toBe(429)
    // Half a minute from the first request on, minus the elapsed time.
    const wait = Number(late.headers.get('retry-after'))
    expect(wait).toBeLessThanOrEqual(30)
    expect(wait).toBeGreaterThanOrEqual(30 - (performance.now() - began) / 1000)
    expect(run.nova.requests.filter(({ url }) => url.includes('os-console-auth-tokens'))).toHaveLength(2)
  })

  it('counts an IPv6 /64 as one address', async () => {
    const toml = 'files_per_minute = 2\n[origin]\ntrusted_proxies = ["127.0.0.1"]'
    await using run = await runningSpice({ toml })
    const from = async (address: string) => (await run.file(TOKEN, { headers: { 'X-Forwarded-For': address } })).status
    const neighbours = ['2001:db8:0:1::1', '2001:db8:0:1:ffff::2', '2001:db8:0:1::3']
    const statuses: number[] = []
    for (const address of [...neighbours, '2001:db8:0:2::1']) statuses.push(await from(address))
    expect(statuses).toEqual([200, 200, 429, 200])
  })

  it('limits unused files per token without affecting other tokens', async () => {
    await using run = await runningSpice({ bounds: { maxTicketsPerToken: 2 } })
    const statuses = [await run.file(), await run.file(), await run.file(), await run.file(OTHER_TOKEN)]
    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 429, 200])
    expect(run.log.records('refused')).toMatchObject([
      { refusal: 'too_many', detail: 'the token has 2 SPICE tickets already' },
    ])
  })

  it('refuses plaintext before sending a byte if the configuration forbids it', async () => {
    await using run = await runningSpice({ toml: '[hypervisor.spice]\nallow_plaintext = false' })
    expect((await run.file()).status).toBe(502)
    expect(run.hypervisor.connections).toBe(0)
    expect(run.log.records('refused')[0]!.detail).toContain('allow_plaintext')
  })

  it('refuses an Upgrade', async () => {
    await using run = await runningSpice()
    const headers = { connection: 'upgrade', upgrade: 'websocket' }
    const response = await fetch(`http://${run.proxy.listeners[0]!.address}/?token=${TOKEN}`, { headers }).catch(
      () => null,
    )
    expect(response?.status ?? 404).not.toBe(101)
    expect(run.hypervisor.connections).toBe(0)
  })
})

describe('the leg to the hypervisor', () => {
  it("sends the client's capabilities without SASL, and an empty ticket", async () => {
    const links: ServedLink[] = []
    const channel = noting((link) => links.push(link))
    await using run = await runningSpice({ script: { channel } })
    const ticket = await run.ticket()
    const main = await view(run, ticket, { channel: [0x04, 0xdead] })
    await main.peer.expect(Buffer.concat([INIT, CHANNELS]))
    await view(run, ticket, { name: 'display', channelId: 3, connectionId: CONNECTION_ID, channel: [0x3bf, 1, 2] })
    expect(links).toMatchObject([
      { connectionId: 0, channelType: 1, common: [0x0b], channel: [0x06, 0xdead] },
      { connectionId: CONNECTION_ID, channelType: 2, channelId: 3, common: [0x0b], channel: [0x3bf, 1, 2] },
    ])
  })

  it('sends the configured password as its ticket', async () => {
    const passwords: (string | undefined)[] = []
    const channel = noting(({ password }) => passwords.push(password))
    await using run = await runningSpice({ script: { channel }, toml: '[hypervisor.spice]\npassword = "qemu-ticket"' })
    await view(run, await run.ticket())
    expect(passwords).toEqual(['qemu-ticket'])
    expect(run.log.text()).not.toContain('qemu-ticket')
  })

  it.each([
    ['a further channel ends that channel', 'usbredir', 101],
    ['main ends the session', 'main', 107],
  ] as const)('that reads no input on %s', async (_name, name, type) => {
    const channel = async (peer: Peer, link: ServedLink) => {
      if (link.channelType === channelTypes[name]) peer.socket.pause()
      await asQemu(peer, link)
    }
    await using run = await runningSpice({ script: { channel }, timing: { stalledAfterMs: 300 } })
    const ticket = await run.ticket()
    const main = await view(run, ticket)
    await main.peer.expect(Buffer.concat([INIT, NAME, uuidMessage(INSTANCE), CHANNELS]))
    const { peer } = name === 'main' ? main : await view(run, ticket, { name, connectionId: CONNECTION_ID })
    const input = Buffer.concat(Array.from({ length: 512 }, () => message(type, Buffer.alloc(2048))))
    for (let sent = true; sent; )
      sent = await peer.send(input, { timeoutMs: 60_000 }).then(
        () => true,
        () => false,
      )
    const closed = { reason: 'console_lost', detail: 'the hypervisor reads no input', channel: `${name}:0` }
    await expect.poll(() => run.log.records('channel closed')).toMatchObject([closed])
    await expect.poll(() => run.proxy.sessions()).toHaveLength(name === 'main' ? 0 : 1)
  })

  it.each([
    ['refuses the ticket', { result: 'permission_denied' }, 'hypervisor.spice.password'],
    ['has no such channel', { result: 'channel_not_available' }, 'channel_not_available'],
  ] as const)(
    "closes the viewer's connection without a result when the hypervisor %s",
    async (_name, script, detail) => {
      await using run = await runningSpice({ script })
      const { result } = await view(run, await run.ticket())
      expect(result).toBe(CLOSED)
      expect(run.log.records('refused').at(-1)!.detail).toContain(detail)
      expect(run.proxy.sessions()).toEqual([])
    },
  )

  it('CVE-2023-3354 disconnect in handshake: survives a hypervisor that disconnects after any byte', async () => {
    using keys = await createTicketKeys(() => {})
    let cut = Number.POSITIVE_INFINITY
    const play = async (peer: Peer) => {
      let sent = 0
      const send = async (bytes: Buffer | string) => {
        const part = (bytes as Buffer).subarray(0, Math.max(cut - sent, 0))
        sent += (bytes as Buffer).length
        await peer.send(part)
        if (sent >= cut) throw new Error('cut')
      }
      await serveLink({ ...peer, send: send as Peer['send'] }, keys.current, {}).catch(() => {})
    }
    await using run = await runningSpice({ hypervisor: play, toml: 'files_per_minute = 1000' })
    for (cut = 0; cut < 210; cut += 1) {
      const response = await run.file()
      const text = await response.text()
      expect(response.status).toBe(cut < 202 ? 502 : 200)
      if (response.status === 200) (await view(run, passwordOf(text))).peer.destroy()
    }
    cut = Number.POSITIVE_INFINITY
    const { peer, result } = await view(run, await run.ticket())
    expect(result).toBe(ok)
    peer.destroy()
  })
})

describe('the guest behind the port', () => {
  const foreign = { channel: (peer: Peer, link: ServedLink) => asQemu(peer, link, OTHER_INSTANCE) }
  const nameless = {
    channel: async (peer: Peer) => {
      await peer.send(Buffer.concat([INIT, CHANNELS]))
      await peer.closed({ timeoutMs: 60_000 })
    },
  }
  const enforce = '[hypervisor]\nidentity = "enforce"'

  it('CVE-2013-0335: ends the session before CHANNELS_LIST when the guest is another instance', async () => {
    await using run = await runningSpice({ script: foreign, toml: enforce })
    const ticket = await run.ticket()
    const { peer } = await view(run, ticket)
    expect(await peer.readToEnd()).toEqual(Buffer.concat([INIT, NAME]))
    expect(run.log.records('the console belongs to another instance')).toMatchObject([
      { level: 'error', guest: OTHER_INSTANCE },
    ])
    expect(run.log.records('session ended')).toMatchObject([{ reason: 'wrong_instance' }])
    expect((await view(run, ticket, { name: 'display', connectionId: CONNECTION_ID })).result).toBe(permission_denied)
  })

  it('ends the session when the guest sends no UUID', async () => {
    await using run = await runningSpice({ script: nameless, toml: enforce })
    const { peer } = await view(run, await run.ticket())
    expect(await peer.readToEnd()).toEqual(INIT)
  })

  it('refuses further channels until the guest is identified', async () => {
    const slow = {
      channel: async (peer: Peer, { channelType }: ServedLink) => {
        if (channelType === 1) await peer.send(INIT)
        await peer.closed({ timeoutMs: 60_000 })
      },
    }
    await using run = await runningSpice({ script: slow, toml: enforce })
    const ticket = await run.ticket()
    await (await view(run, ticket)).peer.expect(INIT)
    expect((await view(run, ticket, { name: 'display', connectionId: CONNECTION_ID })).result).toBe(permission_denied)
  })

  it.each([
    ['warn', foreign, 'the console belongs to another instance'],
    ['warn', nameless, 'the hypervisor sent no UUID of the guest'],
    ['off', foreign, undefined],
    ['off', nameless, undefined],
  ] as const)('lets the session of another guest continue with identity = %s', async (identity, script, line) => {
    await using run = await runningSpice({ script, toml: `[hypervisor]\nidentity = "${identity}"` })
    const { peer } = await view(run, await run.ticket())
    await peer.expect(INIT)
    await expect.poll(() => run.proxy.sessions()).toHaveLength(1)
    if (line) await expect.poll(() => run.log.records(line)).toHaveLength(1)
    else expect(run.log.text()).not.toMatch(/another machine|no UUID/)
    peer.destroy()
  })

  it('drops name and UUID for a client that did not request them', async () => {
    await using run = await runningSpice({ toml: enforce })
    const { peer } = await view(run, await run.ticket(), { channel: [0x04] })
    await peer.expect(Buffer.concat([INIT, CHANNELS]))
  })
})

describe('messages of the viewer', () => {
  const echo = {
    channel: async (peer: Peer, link: ServedLink) => {
      if (link.channelType === 1) return asQemu(peer, link)
      peer.socket.on('data', () => {})
      await peer.closed({ timeoutMs: 60_000 })
    },
  }

  it('reach the hypervisor when the policy lists them', async () => {
    const seen = Promise.withResolvers<Buffer>()
    const channel = async (peer: Peer, link: ServedLink) => {
      if (link.channelType === 1) return asQemu(peer, link)
      seen.resolve(await peer.read(20))
    }
    await using run = await runningSpice({ script: { channel } })
    const ticket = await run.ticket()
    const main = await view(run, ticket)
    await main.peer.expect(Buffer.concat([INIT, NAME, uuidMessage(INSTANCE), CHANNELS]))
    const inputs = await view(run, ticket, { name: 'inputs', connectionId: CONNECTION_ID })
    const keys = Buffer.concat([message(101, hex('01000000')), message(102, hex('81000000'))])
    await inputs.peer.sendSlowly(keys)
    expect(await seen.promise).toEqual(keys)
  })

  it.each([
    ['inputs', message(4), 'this message is allowed only during a live migration'],
    ['inputs', message(5), 'this message is allowed only during a live migration'],
    ['inputs', message(115), 'clients never send this message'],
    ['usbredir', hex('6500 f0ffffff'), 'a body of 4294967280 bytes'],
  ] as const)(
    'end channel %s before they reach the hypervisor when the policy does not list them',
    async (name, bytes, why) => {
      const arrived: Buffer[] = []
      const channel = async (peer: Peer, link: ServedLink) => {
        if (link.channelType === 1) return asQemu(peer, link)
        arrived.push(await peer.readToEnd())
      }
      await using run = await runningSpice({ script: { channel } })
      const ticket = await run.ticket()
      const main = await view(run, ticket)
      await main.peer.expect(Buffer.concat([INIT, NAME, uuidMessage(INSTANCE), CHANNELS]))
      const { peer } = await view(run, ticket, { name, connectionId: CONNECTION_ID })
      await peer.send(bytes)
      await peer.closed()
      await expect.poll(() => arrived).toEqual([Buffer.alloc(0)])
      expect(run.log.records('message violates the policy')).toMatchObject([
        { channel: `${name}:0`, policy: 'enforce' },
      ])
      expect(run.log.records('message violates the policy')[0]!.why).toContain(why)
      expect(run.proxy.sessions()).toHaveLength(1)
    },
  )

  it('end the session when main sends a migration message without a migration', async () => {
    await using run = await runningSpice()
    const { peer } = await view(run, await run.ticket())
    await peer.expect(INIT)
    await peer.send(message(110, u32(1)))
    await expect.poll(() => run.log.records('session ended')).toMatchObject([{ reason: 'protocol_error' }])
  })

  it('are only logged with policy = "watch"', async () => {
    await using run = await runningSpice({ script: echo, toml: 'policy = "watch"' })
    const ticket = await run.ticket()
    const main = await view(run, ticket)
    await main.peer.expect(Buffer.concat([INIT, NAME, uuidMessage(INSTANCE), CHANNELS]))
    const { peer } = await view(run, ticket, { name: 'inputs', connectionId: CONNECTION_ID })
    await peer.send(Buffer.concat([message(115), message(115)]))
    await expect
      .poll(() => run.log.records('message violates the policy'))
      .toMatchObject([{ policy: 'watch', type: 115 }])
    expect(run.proxy.sessions()).toHaveLength(1)
  })
})

describe('a watcher', () => {
  const watching = { admission: () => ({ role: 'watch' as const }) }
  const pong = message(3, Buffer.alloc(12))

  it('sees and opens no channel that gives the guest something', async () => {
    await using run = await runningSpice(watching)
    const ticket = await run.ticket()
    const main = await view(run, ticket)
    const shown = message(104, hex('03000000 0100 0200 0300'))
    await main.peer.expect(Buffer.concat([INIT, NAME, uuidMessage(INSTANCE), shown]))
    const { result } = await view(run, ticket, { name: 'usbredir', connectionId: CONNECTION_ID })
    expect(result).toBe(permission_denied)
    expect(run.proxy.sessions()).toMatchObject([{ role: 'watch' }])
  })

  it.each([
    ['inputs', [message(101, u32(30)), message(112, Buffer.alloc(11)), message(104, Buffer.alloc(64))]],
    [
      'main',
      [message(105, Buffer.alloc(2)), message(106, u32(10)), message(107, Buffer.alloc(600)), message(108, u32(1))],
    ],
  ] as const)('sends no input on the channel %s, and everything else', async (name, inputs) => {
    const seen = Promise.withResolvers<Buffer>()
    const channel = async (peer: Peer, link: ServedLink) => {
      if (link.channelType === 1) await peer.send(Buffer.concat([INIT, NAME, uuidMessage(INSTANCE), CHANNELS]))
      if (link.channelType === channelTypes[name]) seen.resolve(await peer.read(2 * pong.length))
      await peer.closed({ timeoutMs: 60_000 })
    }
    await using run = await runningSpice({ ...watching, script: { channel } })
    const ticket = await run.ticket()
    const main = await view(run, ticket)
    await main.peer.expect(INIT)
    await main.peer.expect(Buffer.concat([NAME, uuidMessage(INSTANCE)]))
    const link = { name, connectionId: CONNECTION_ID }
    const { peer } = name === 'main' ? main : await view(run, ticket, link)
    await peer.sendSlowly(Buffer.concat([pong, ...inputs, pong]))
    expect(await seen.promise).toEqual(Buffer.concat([pong, pong]))
  })

  it('may send no message that the policy does not list, also with policy = "watch"', async () => {
    await using run = await runningSpice({ ...watching, toml: 'policy = "watch"' })
    const { peer } = await view(run, await run.ticket())
    await peer.expect(INIT)
    await peer.send(message(110, u32(1)))
    await expect.poll(() => run.log.records('session ended')).toMatchObject([{ reason: 'protocol_error' }])
  })
})

describe('a live migration', () => {
  const seamless = (host: string, port: number) =>
    message(116, buildMigrationTarget({ host, port, tlsPort: 0, subject: 'CN=compute-2', version: 1 }))
  const switchHost = (host: string, port: number) =>
    message(111, buildMigrationTarget({ host, port, tlsPort: 0, subject: '' }))

  /** A hypervisor whose main channel sends the test's messages, and another one that counts its links. */
  async function twoHosts(toml: string, ready = async () => {}) {
    await using opened = new AsyncDisposableStack()
    const keys = opened.use(await createTicketKeys(() => {}))
    const links: ServedLink[] = []
    const target = opened.use(
      await scriptedServer(async (peer) => {
        await ready()
        await serveLink(peer, keys.current, { channel: noting((link) => links.push(link)) })
      }),
    )
    const main = Promise.withResolvers<Peer>()
    const channel = async (peer: Peer, link: ServedLink) => {
      if (link.channelType === 1) main.resolve(peer)
      await asQemu(peer, link)
    }
    const run = opened.use(await runningSpice({ script: { channel }, toml }))
    const ticket = await run.ticket()
    const viewer = (await view(run, ticket)).peer
    await viewer.expect(Buffer.concat([INIT, NAME, uuidMessage(INSTANCE), CHANNELS]))
    const close = opened.move()
    const { address } = run.proxy.spice!
    const publicPort = Number(address!.split(':')[1])
    return {
      ...{ run, ticket, viewer, target, links, publicPort, source: await main.promise },
      [Symbol.asyncDispose]: () => close.disposeAsync(),
    }
  }

  const read = async (peer: Peer) => {
    const header = await peer.read(6)
    return { type: header.readUInt16LE(), body: await peer.read(header.readUInt32LE(2)) }
  }
  const allowed = 'public_host = "console.example"\nmigration_hosts = ["127.0.0.0/8"]'

  it('sends the viewer to the proxy, and the proxy to the target', async () => {
    await using hosts = await twoHosts(allowed)
    const { run, ticket, viewer, source, target, links, publicPort } = hosts
    await source.send(seamless('127.0.0.1', target.port))
    const begun = await read(viewer)
    expect(begun.type).toBe(116)
    expect(parseMigrationTarget(begun.body, true)).toEqual({
      host: 'console.example',
      port: publicPort,
      tlsPort: 0,
      subject: '',
      version: 1,
    })
    const moved = await view(run, ticket, { connectionId: CONNECTION_ID })
    const display = await view(run, ticket, { name: 'display', connectionId: CONNECTION_ID })
    expect([moved.result, display.result]).toEqual([ok, ok])
    expect(links).toMatchObject([
      { channelType: 1, connectionId: CONNECTION_ID },
      { channelType: 2, connectionId: CONNECTION_ID },
    ])
    await source.send(message(1, u32(3)))
    expect(await read(viewer)).toEqual({ type: 1, body: u32(3) })
    source.end()
    await viewer.closed()
    expect(run.proxy.sessions()).toHaveLength(1)
    expect((await view(run, ticket, { name: 'inputs', connectionId: CONNECTION_ID })).result).toBe(ok)
    expect(links).toHaveLength(3)
    moved.peer.destroy()
    await display.peer.closed()
    expect(run.log.records('session ended')).toHaveLength(1)
  })

  it('opens only one main channel to the target, also for simultaneous attempts', async () => {
    const gate = Promise.withResolvers<void>()
    await using hosts = await twoHosts(allowed, () => gate.promise)
    const { run, ticket, viewer, source, target } = hosts
    await source.send(seamless('127.0.0.1', target.port))
    await read(viewer)
    const first = view(run, ticket, { connectionId: CONNECTION_ID })
    await expect.poll(() => target.connections).toBe(1)
    const others = [0, 1].map((channelId) => view(run, ticket, { channelId, connectionId: CONNECTION_ID }))
    expect((await Promise.all(others)).map(({ result }) => result)).toEqual([permission_denied, permission_denied])
    gate.resolve()
    expect((await first).result).toBe(ok)
    expect(target.connections).toBe(1)
  })

  it('allows migration messages only after the hypervisor has sent one', async () => {
    await using hosts = await twoHosts(allowed)
    await hosts.source.send(seamless('127.0.0.1', hosts.target.port))
    await read(hosts.viewer)
    await hosts.viewer.send(message(111))
    await hosts.source.expect(message(111))
  })

  it('keeps the session at its host when it is cancelled', async () => {
    await using hosts = await twoHosts(allowed)
    const { run, ticket, viewer, source, target } = hosts
    await source.send(seamless('127.0.0.1', target.port))
    await read(viewer)
    await source.send(message(102))
    expect((await read(viewer)).type).toBe(102)
    expect((await view(run, ticket, { connectionId: CONNECTION_ID })).result).toBe(permission_denied)
    expect((await view(run, ticket, { name: 'inputs', connectionId: CONNECTION_ID })).result).toBe(ok)
    expect(target.connections).toBe(0)
  })

  it.each(['take_over', 'refuse'])(
    'opens a session at the new host after SWITCH_HOST, also when cancelled afterwards, with in_use = %s',
    async (in_use) => {
      await using hosts = await twoHosts(`in_use = "${in_use}"\n${allowed}`)
      const { run, ticket, viewer, source, target, links } = hosts
      await source.send(Buffer.concat([switchHost('127.0.0.1', target.port), message(102)]))
      const told = await read(viewer)
      expect([told.type, parseMigrationTarget(told.body, false).host]).toEqual([111, 'console.example'])
      const { peer, result } = await view(run, ticket)
      expect(result).toBe(ok)
      await viewer.closed()
      await peer.expect(INIT)
      expect(links).toMatchObject([{ channelType: 1, connectionId: 0 }])
    },
  )

  it.each([
    ['a host that is not listed', 'migration_hosts = ["10.0.0.0/8", "compute-2"]', '127.0.0.1'],
    ['any host, if none is listed', '', '127.0.0.1'],
    ['a name, if only addresses are listed', 'migration_hosts = ["127.0.0.0/8"]', 'localhost'],
  ])('to %s is not forwarded to the viewer, and its target is never dialled', async (_name, toml, host) => {
    await using hosts = await twoHosts(toml)
    const { run, ticket, viewer, source, target } = hosts
    await source.send(Buffer.concat([seamless(host, target.port), switchHost(host, target.port), message(2000)]))
    expect((await read(viewer)).type).toBe(2000)
    expect((await view(run, ticket, { connectionId: CONNECTION_ID })).result).toBe(permission_denied)
    expect(target.connections).toBe(0)
    expect(run.log.text()).toContain('live migration')
  })

  it('is not among the capabilities for the hypervisor if no host is allowed', async () => {
    const words: number[][] = []
    const channel = noting((link) => words.push([...link.channel]))
    for (const toml of ['', allowed]) {
      await using run = await runningSpice({ script: { channel }, toml })
      await view(run, await run.ticket())
    }
    expect(words).toEqual([[0x06], [0x0f]])
  })
})

describe('CVE-2023-43826 hostile server: a hypervisor', () => {
  it.each([
    ['MAIN_INIT of 65 KiB', message(103, Buffer.alloc(65 * 1024))],
    ['MAIN_INIT of no bytes', message(103)],
    ['a list of 2³²−1 channels', message(104, hex('ffffffff 0100'))],
    ['a UUID of 3 bytes', message(114, hex('010203'))],
    ['a name that is longer than its message', message(113, hex('ffffff7f 41'))],
    ['a migration target outside the message', message(116, Buffer.alloc(24, 0xff))],
  ])('ends the session by sending %s', async (_name, bytes) => {
    const channel = async (peer: Peer) => {
      await peer.send(bytes)
      await peer.closed({ timeoutMs: 60_000 })
    }
    await using run = await runningSpice({ script: { channel }, toml: 'migration_hosts = ["10.0.0.0/8"]' })
    const { peer } = await view(run, await run.ticket())
    await peer.closed()
    await expect.poll(() => run.log.records('session ended')).toMatchObject([{ reason: 'console_lost' }])
  })
})

describe('subjects, hosts and rates', () => {
  it.each([
    ['C=AU,O=Cloud,CN=compute-1', 'C=AU\nO=Cloud\nCN=compute-1', true],
    ['c=au, o=cloud, cn=COMPUTE-1', 'C=AU\nO=Cloud\nCN=compute-1', true],
    ['O=My  Cloud', 'O=my cloud', true],
    ['O=A\\, B,CN=x', 'O=A\\, B\nCN=x', true],
    ['O=A\\\\B', 'O=A\\\\B', true],
    ['O=Cloud,C=AU,CN=compute-1', 'C=AU\nO=Cloud\nCN=compute-1', false],
    ['C=AU,O=Cloud', 'C=AU\nO=Cloud\nCN=compute-1', false],
    ['C=AU,O=Cloud,CN=compute-1,CN=x', 'C=AU\nO=Cloud\nCN=compute-1', false],
    ['CN=compute-1', 'CN=compute-11', false],
    ['', 'CN=x', false],
    ['CN=a,CN=b', 'CN=a\\,CN=b', false],
  ])('%s for %j is %s', (wanted, subject, matches) => {
    expect(subjectMatches(wanted, subject)).toBe(matches)
  })

  it('the list of migration hosts matches names, addresses and networks', () => {
    const hosts = allowedHosts(['Compute-2.example', '10.0.0.0/8', 'fd00::1'])
    expect(['compute-2.example', 'compute-2.example.', '10.1.2.3', 'fd00::1'].every((host) => hosts.has(host))).toBe(
      true,
    )
    expect(
      ['compute-3.example', '11.0.0.1', 'fd00::2', 'x.compute-2.example', ''].some((host) => hosts.has(host)),
    ).toBe(false)
  })

  it('the rate limit counts requests per address, and refills', () => {
    let now = 0
    const limit = new RateLimit({ perMinute: 2, now: () => now })
    expect([limit.take('a'), limit.take('a'), limit.take('a'), limit.take('b')]).toEqual([
      undefined,
      undefined,
      { retryAfterSeconds: 30 },
      undefined,
    ])
    now = 29_000
    expect(limit.take('a')).toEqual({ retryAfterSeconds: 1 })
    now = 30_000
    expect(limit.take('a')).toBeUndefined()
  })
})

/** Plays QEMU, and records every link. */
function noting(note: (link: ServedLink) => void) {
  return async (peer: Peer, link: ServedLink) => {
    note(link)
    await asQemu(peer, link)
  }
}
