/** Native SPICE at the side of viewers: malformed links, the tickets of several sessions, and admitted channels. */
import { hex, type Peer } from '@oriel/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SessionRecord } from '../../src/session/open-session.ts'
import { judge, type TicketState } from '../../src/spice/channel/admission.ts'
import { linkErrors } from '../../src/spice/wire/protocol.ts'
import { createTicketKeys } from '../../src/spice/wire/ticket-keys.ts'
import { INSTANCE, OTHER_TOKEN, TOKEN } from '../fixture.ts'
import {
  asQemu,
  CHANNELS,
  CLOSED,
  CONNECTION_ID,
  INIT,
  linkOf,
  message,
  NAME,
  readReply,
  runningSpice,
  type SpiceRun,
  serveLink,
  ticketBytes,
  uuidMessage,
  view,
} from './fixture.ts'

const { ok, permission_denied } = linkErrors
const GREETING = Buffer.concat([INIT, NAME, uuidMessage(INSTANCE), CHANNELS])

describe('a link', () => {
  it.each([
    ['another magic', (link: Buffer) => link.fill(0x58, 0, 4), 'invalid_magic'],
    ['version 1', (link: Buffer) => link.writeUInt32LE(1, 4), 'version_mismatch'],
    ['a size of 17', (link: Buffer) => link.writeUInt32LE(17, 12), 'invalid_data'],
    ['a size of 2³²−1', (link: Buffer) => link.writeUInt32LE(0xffffffff, 12), 'invalid_data'],
    ['2³⁰ words', (link: Buffer) => link.writeUInt32LE(2 ** 30, 22), 'invalid_data'],
    ['an unknown channel type', (link: Buffer) => link.writeUInt8(99, 20), 'channel_not_available'],
    ['a tunnel', (link: Buffer) => link.writeUInt8(7, 20), 'channel_not_available'],
  ] as const)('with %s is answered with a link error and closed', async (_name, bend, answer) => {
    await using run = await runningSpice()
    using peer = await run.connect()
    const link = linkOf()
    bend(link)
    await peer.send(link)
    expect((await readReply(peer)).error).toBe(linkErrors[answer])
    await peer.closed()
  })

  it('with another mechanism than a ticket is answered with "invalid data"', async () => {
    await using run = await runningSpice()
    const ticket = await run.ticket()
    using peer = await run.connect()
    await peer.send(linkOf())
    await peer.send(ticketBytes(await readReply(peer), ticket, 2))
    expect((await readReply(peer)).error).toBe(linkErrors.invalid_data)
  })

  it('that is an HTTP request is answered with HTTP 400', async () => {
    await using run = await runningSpice()
    using peer = await run.connect()
    await peer.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    expect((await peer.readToEnd()).toString()).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('without AUTH_SELECTION and MINI_HEADER sends its ticket at once and uses 18-byte headers', async () => {
    await using run = await runningSpice()
    const ticket = await run.ticket()
    using peer = await run.connect()
    await peer.send(linkOf({ common: 0 }))
    const reply = await readReply(peer)
    expect(reply.common).toEqual([0x02])
    await peer.send(ticketBytes(reply, ticket).subarray(4))
    await peer.expect('00000000')
  })

  it('is dropped when the client is silent for too long, at every step', async () => {
    await using run = await runningSpice({ bounds: { handshakeTimeoutMs: 300 } })
    const starts = [Buffer.alloc(0), linkOf().subarray(0, 3), linkOf().subarray(0, 20), linkOf()]
    for (const bytes of starts) {
      using peer = await run.connect()
      await peer.send(bytes)
      await peer.closed()
    }
  })

  it('is dropped beyond the limit of waiting connections per address', async () => {
    await using run = await runningSpice({ bounds: { maxWaitingPerClient: 2 } })
    using first = await run.connect()
    using second = await run.connect()
    await first.send(linkOf())
    await readReply(first)
    await second.send(linkOf())
    await readReply(second)
    using third = await run.connect()
    await third.closed()
    first.destroy()
    second.destroy()
    await expect.poll(async () => (await tryLink(run)) !== undefined).toBe(true)
  })

  it('is dropped beyond the limit of waiting connections while each of them has just sent something', async () => {
    await using run = await runningSpice({ bounds: { maxWaiting: 2, displacedAfterMs: Infinity } })
    const waiting = [await run.connect(), await run.connect()]
    for (const peer of waiting) {
      await peer.send(linkOf())
      await readReply(peer)
    }
    expect(await tryLink(run)).toBeUndefined()
    waiting[0]!.destroy()
    await expect.poll(async () => (await tryLink(run)) !== undefined).toBe(true)
    waiting[1]!.destroy()
  })

  it('replaces the oldest waiting connection once that has waited too long after its first bytes', async () => {
    await using run = await runningSpice({ bounds: { maxWaiting: 2, displacedAfterMs: 0 } })
    const waiting = [await run.connect(), await run.connect()]
    for (const peer of waiting) {
      await peer.send(linkOf())
      await readReply(peer)
    }
    expect(await tryLink(run)).toBeDefined()
    await waiting[0]!.closed()
    waiting[1]!.destroy()
  })

  it('CVE-2023-3354 disconnect in handshake: survives a client that disconnects after any byte', async () => {
    await using run = await runningSpice()
    const ticket = await run.ticket()
    const start = linkOf()
    for (let length = 0; length <= start.length + 131; length += 1) {
      using peer = await run.connect()
      await peer.send(start.subarray(0, length))
      if (length >= start.length) {
        const reply = await readReply(peer)
        await peer.send(ticketBytes(reply, ticket).subarray(0, length - start.length))
      }
      peer.destroy()
    }
    const { peer, result } = await view(run, ticket)
    expect(result).toBe(ok)
    peer.destroy()
  })
})

describe('a load balancer in front of the SPICE port', () => {
  it("sends the client's address in a PROXY header", async () => {
    const toml = 'proxy_protocol = true\n[origin]\ntrusted_proxies = ["127.0.0.1"]'
    await using run = await runningSpice({ toml })
    const ticket = await run.ticket()
    using peer = await run.connect()
    await peer.send(Buffer.concat([Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 56324 5900\r\n'), linkOf()]))
    await peer.send(ticketBytes(await readReply(peer), ticket))
    await peer.expect('00000000')
    expect(run.proxy.sessions()).toMatchObject([{ client: '192.0.2.7' }])
    using bare = await run.connect()
    await bare.send(linkOf())
    await bare.closed()
  })
})

describe('a ticket', () => {
  it("opens main and relays the hypervisor's messages", async () => {
    await using run = await runningSpice()
    const { peer, result } = await view(run, await run.ticket())
    expect(result).toBe(ok)
    await peer.expect(GREETING)
    expect(run.proxy.sessions()).toMatchObject([{ type: 'spice-direct', instance: INSTANCE, client: '127.0.0.1' }])
    peer.destroy()
    await expect.poll(() => run.log.records('session ended')).toHaveLength(1)
    expect(run.log.records('session ended')[0]).toMatchObject({ instance: INSTANCE, channels: 1 })
    expect(run.proxy.sessions()).toEqual([])
  })

  it.each([
    ['is unknown', async () => 'A'.repeat(32)],
    ['is empty', async () => ''],
    ['is too long', async () => 'x'.repeat(61)],
    ['has the wrong case', async (run: SpiceRun) => swapCase(await run.ticket())],
  ])('that %s is answered with "permission denied"', async (_name, ticket) => {
    await using run = await runningSpice()
    const { peer, result } = await view(run, await ticket(run))
    expect(result).toBe(permission_denied)
    await peer.closed()
    expect(run.log.records('session opened')).toEqual([])
  })

  it('that is encrypted with another key is answered with "permission denied"', async () => {
    await using run = await runningSpice()
    using peer = await run.connect()
    await peer.send(linkOf())
    await readReply(peer)
    await peer.send(Buffer.concat([hex('01000000'), Buffer.alloc(128, 1)]))
    await peer.expect('07000000')
  })

  it('that is unknown is answered later than a valid one', async () => {
    await using run = await runningSpice({ bounds: { wrongTicketDelayMs: 60_000, handshakeTimeoutMs: 60_000 } })
    const ticket = await run.ticket()
    using guessing = await run.connect()
    await guessing.send(linkOf())
    const reply = await readReply(guessing)
    const heard = guessing.socket.bytesRead
    await guessing.send(ticketBytes(reply, 'A'.repeat(32)))
    await expect.poll(() => run.log.records('refused')).toHaveLength(1)
    const { peer } = await view(run, ticket)
    await peer.expect(GREETING)
    expect(guessing.socket.bytesRead).toBe(heard)
    peer.destroy()
  })

  it('is refused after its first-use window', async () => {
    await using run = await runningSpice({ toml: 'first_use_seconds = 1' })
    const ticket = await run.ticket()
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect((await view(run, ticket)).result).toBe(permission_denied)
  })

  it('opens its session again within the grace period, and not without one', async () => {
    for (const [toml, result] of [
      ['', ok],
      ['reconnect_grace_seconds = 0', permission_denied],
    ] as const) {
      await using run = await runningSpice({ toml })
      const ticket = await run.ticket()
      const first = await view(run, ticket)
      await first.peer.expect(GREETING)
      first.peer.destroy()
      await expect.poll(() => run.log.records('session ended')).toHaveLength(1)
      const second = await view(run, ticket)
      expect(second.result).toBe(result)
      second.peer.destroy()
    }
  })

  it('opens a new session while its earlier one is open, and ends that', async () => {
    await using run = await runningSpice()
    const ticket = await run.ticket()
    const first = await view(run, ticket)
    await first.peer.expect(GREETING)
    const second = await view(run, ticket)
    expect(second.result).toBe(ok)
    await first.peer.closed()
    await second.peer.expect(GREETING)
    expect(run.proxy.sessions()).toHaveLength(1)
  })

  it('never appears in the log, in file names or in refusals', async () => {
    await using run = await runningSpice()
    const ticket = await run.ticket()
    const { peer } = await view(run, ticket)
    await peer.expect(GREETING)
    await view(run, `${ticket}x`)
    peer.destroy()
    await expect.poll(() => run.log.records('session ended')).toHaveLength(1)
    expect(run.log.text()).not.toContain(ticket)
    expect(run.log.text()).not.toContain(TOKEN)
  })
})

describe('a further channel', () => {
  it("joins with the session's id, and closes with the main channel", async () => {
    await using run = await runningSpice()
    const ticket = await run.ticket()
    const main = await view(run, ticket)
    await main.peer.expect(GREETING)
    const display = await view(run, ticket, { name: 'display', connectionId: CONNECTION_ID, channel: [0x3bf] })
    const usb0 = await view(run, ticket, { name: 'usbredir', connectionId: CONNECTION_ID })
    const usb1 = await view(run, ticket, { name: 'usbredir', channelId: 1, connectionId: CONNECTION_ID })
    expect([display.result, usb0.result, usb1.result]).toEqual([ok, ok, ok])
    usb0.peer.destroy()
    await expect.poll(() => run.log.records('channel closed')).toHaveLength(1)
    expect(run.proxy.sessions()).toHaveLength(1)
    main.peer.destroy()
    await display.peer.closed()
    await usb1.peer.closed()
  })

  it.each([
    ['before main is open', false, CONNECTION_ID],
    ['with a guessed id', true, 12345],
    ['without an id', true, 0],
  ])('is refused %s', async (_name, open, connectionId) => {
    await using run = await runningSpice()
    const ticket = await run.ticket()
    if (open) await (await view(run, ticket)).peer.expect(GREETING)
    const { result } = await view(run, ticket, { name: 'inputs', connectionId })
    expect(result).toBe(permission_denied)
    expect(run.hypervisor.connections).toBe(open ? 2 : 1)
  })

  it('is refused with the ticket of another session', async () => {
    await using run = await runningSpice()
    await (await view(run, await run.ticket())).peer.expect(GREETING)
    const { result } = await view(run, await run.ticket(OTHER_TOKEN), { name: 'inputs', connectionId: CONNECTION_ID })
    expect(result).toBe(permission_denied)
  })

  it('is refused when it is already open', async () => {
    await using run = await runningSpice()
    const ticket = await run.ticket()
    await (await view(run, ticket)).peer.expect(GREETING)
    const link = { name: 'inputs', connectionId: CONNECTION_ID } as const
    expect((await view(run, ticket, link)).result).toBe(ok)
    expect((await view(run, ticket, link)).result).toBe(permission_denied)
  })

  it('is refused while the same channel is opening', async () => {
    const { gate, hypervisor } = await slowSideChannels()
    await using run = await runningSpice({ hypervisor })
    const ticket = await run.ticket()
    await (await view(run, ticket)).peer.expect(GREETING)
    const link = { name: 'display', connectionId: CONNECTION_ID } as const
    const before = run.hypervisor.connections
    const first = view(run, ticket, link)
    await expect.poll(() => run.hypervisor.connections).toBe(before + 1)
    expect((await view(run, ticket, link)).result).toBe(permission_denied)
    gate.resolve()
    expect((await first).result).toBe(ok)
    expect(run.hypervisor.connections).toBe(before + 1)
  })

  it('is refused beyond the maximum per session, counting opening ones, until one is closed', async () => {
    const { gate, hypervisor } = await slowSideChannels()
    await using run = await runningSpice({ hypervisor, bounds: { maxChannels: 3 } })
    const ticket = await run.ticket()
    await (await view(run, ticket)).peer.expect(GREETING)
    const usb = (channelId: number) => view(run, ticket, { name: 'usbredir', channelId, connectionId: CONNECTION_ID })
    const before = run.hypervisor.connections
    const opening = [usb(0), usb(1)] as const
    await expect.poll(() => run.hypervisor.connections).toBe(before + 2)
    expect((await usb(2)).result).toBe(permission_denied)
    gate.resolve()
    const [first, second] = await Promise.all(opening)
    expect([first.result, second.result]).toEqual([ok, ok])
    expect((await usb(2)).result).toBe(permission_denied)
    first.peer.destroy()
    await expect.poll(async () => (await usb(2)).result).toBe(ok)
  })

  it('releases its slot when the hypervisor refuses it', async () => {
    using keys = await createTicketKeys(() => {})
    let refusing = false
    const hypervisor = async (peer: Peer) => (refusing ? undefined : serveLink(peer, keys.current, {}))
    await using run = await runningSpice({ hypervisor, bounds: { maxChannels: 2 } })
    const ticket = await run.ticket()
    await (await view(run, ticket)).peer.expect(GREETING)
    const link = { name: 'display', connectionId: CONNECTION_ID } as const
    refusing = true
    expect((await view(run, ticket, link)).result).toBe(CLOSED)
    refusing = false
    expect((await view(run, ticket, link)).result).toBe(ok)
  })

  /** A hypervisor that replies on further channels only after the gate has opened. */
  async function slowSideChannels() {
    using keys = await createTicketKeys(() => {})
    const key = keys.current
    const gate = Promise.withResolvers<void>()
    let connections = 0
    const hypervisor = async (peer: Peer) => {
      connections += 1
      // The probe and main come first.
      if (connections > 2) await gate.promise
      await serveLink(peer, key, {})
    }
    return { gate, hypervisor }
  }

  it('is neither listed nor admitted when it is hidden', async () => {
    await using run = await runningSpice({ toml: 'hidden_channels = ["usbredir"]' })
    const ticket = await run.ticket()
    const main = await view(run, ticket)
    const shown = message(104, hex('03000000 0100 0200 0300'))
    await main.peer.expect(Buffer.concat([INIT, NAME, uuidMessage(INSTANCE), shown]))
    const { result } = await view(run, ticket, { name: 'usbredir', connectionId: CONNECTION_ID })
    expect(result).toBe(permission_denied)
  })
})

describe('a console that a second user opens', () => {
  it('is taken over, and the log names both users', async () => {
    await using run = await runningSpice()
    const [mine, theirs] = [await run.ticket(), await run.ticket(OTHER_TOKEN)]
    const first = await view(run, mine)
    await first.peer.expect(GREETING)
    const second = await view(run, theirs)
    expect(second.result).toBe(ok)
    await first.peer.closed()
    const [takeOver] = run.log.records('console taken over') as [Record<'earlier' | 'later', Record<string, string>>]
    expect(takeOver.earlier.digest).not.toBe(takeOver.later.digest)
    expect(takeOver).toMatchObject({ earlier: { client: '127.0.0.1' }, later: { client: '127.0.0.1' } })
    expect(run.log.records('session ended')).toMatchObject([
      { reason: 'taken_over', session: takeOver.earlier.session },
    ])
    expect((await view(run, mine)).result).toBe(permission_denied)
  })

  it('is refused with in_use = "refuse", at the file and at the link', async () => {
    await using run = await runningSpice({ toml: 'in_use = "refuse"' })
    const [mine, theirs] = [await run.ticket(), await run.ticket(OTHER_TOKEN)]
    const first = await view(run, mine)
    await first.peer.expect(GREETING)
    expect((await view(run, theirs)).result).toBe(CLOSED)
    const page = await run.file(OTHER_TOKEN)
    expect(page.status).toBe(409)
    expect(await page.text()).toContain('Another user has this console open')
    expect(run.proxy.sessions()).toHaveLength(1)
    expect(run.log.records('console in use')).toHaveLength(1)
  })

  it('is available again after its session with in_use = "refuse"', async () => {
    await using run = await runningSpice({ toml: 'in_use = "refuse"' })
    const [mine, theirs] = [await run.ticket(), await run.ticket(OTHER_TOKEN)]
    const first = await view(run, mine)
    await first.peer.expect(GREETING)
    first.peer.destroy()
    await expect.poll(() => run.log.records('session ended')).toHaveLength(1)
    expect((await view(run, theirs)).result).toBe(ok)
  })

  it.each(['take_over', 'refuse'])('does not count as in use for its own ticket, with in_use = %s', async (in_use) => {
    await using run = await runningSpice({ toml: `in_use = "${in_use}"` })
    const ticket = await run.ticket()
    const first = await view(run, ticket)
    await first.peer.expect(GREETING)
    const again = await view(run, ticket)
    expect(again.result).toBe(ok)
    await first.peer.closed()
    await again.peer.expect(GREETING)
    expect(run.log.records('session ended')).toMatchObject([{ reason: 'client_lost' }])
    expect([...run.log.records('console taken over'), ...run.log.records('console in use')]).toEqual([])
    expect(run.proxy.sessions()).toHaveLength(1)
  })

  describe('for a watcher', () => {
    const watching = { admission: (token: string) => (token === OTHER_TOKEN ? { role: 'watch' as const } : {}) }

    it('is refused while another user has it, also with in_use = take_over', async () => {
      await using run = await runningSpice({ ...watching, toml: 'in_use = "take_over"' })
      const theirs = await run.ticket(OTHER_TOKEN)
      const first = await view(run, await run.ticket())
      await first.peer.expect(GREETING)
      expect((await view(run, theirs)).result).toBe(CLOSED)
      expect((await run.file(OTHER_TOKEN)).status).toBe(409)
      expect(run.proxy.sessions()).toMatchObject([{ role: 'control' }])
    })

    it('is taken over by a user who may control it, also with in_use = refuse', async () => {
      await using run = await runningSpice({ ...watching, toml: 'in_use = "refuse"' })
      const watcher = await view(run, await run.ticket(OTHER_TOKEN))
      await watcher.peer.read(1)
      const user = await view(run, await run.ticket())
      await user.peer.expect(GREETING)
      expect(run.log.records('session ended')).toMatchObject([{ reason: 'taken_over', role: 'watch' }])
    })
  })

  it('stays with the first user when a limit refuses the second', async () => {
    await using run = await runningSpice({ toml: '[sessions]\nmax_per_token = 1' })
    const console = run.nova.tokens.get(TOKEN)!
    const victim = await view(run, await run.ticket())
    await victim.peer.expect(GREETING)
    const theirs = await run.ticket(OTHER_TOKEN)
    run.nova.tokens.set(OTHER_TOKEN, { ...console, instance_uuid: '11111111-2222-4333-8444-555555555555' })
    const elsewhere = await view(run, await run.ticket(OTHER_TOKEN))
    await elsewhere.peer.expect(INIT)
    expect((await view(run, theirs)).result).toBe(CLOSED)
    expect(run.log.records('refused').at(-1)).toMatchObject({ detail: 'max_per_token is 1' })
    expect(run.log.records('session ended').map(({ instance }) => instance)).not.toContain(INSTANCE)
    expect(run.proxy.sessions()).toMatchObject([{ instance: INSTANCE }, {}])
  })
})

describe('limits and the stop of native sessions', () => {
  it('too many sessions close the link without a result', async () => {
    await using run = await runningSpice({
      toml: '[sessions]\nmax_total = 1',
      script: { channel: (p, l) => asQemu(p, l) },
    })
    run.nova.tokens.set(OTHER_TOKEN, {
      ...run.nova.tokens.get(TOKEN)!,
      instance_uuid: '11111111-2222-4333-8444-555555555555',
    })
    const first = await view(run, await run.ticket())
    await first.peer.expect(GREETING)
    const second = await view(run, await run.ticket(OTHER_TOKEN))
    expect(second.result).toBe(CLOSED)
    expect(run.log.records('refused').at(-1)).toMatchObject({ refusal: 'too_many' })
  })

  it('a takeover reuses the slot of the earlier session', async () => {
    await using run = await runningSpice({ toml: '[sessions]\nmax_total = 1' })
    const ticket = await run.ticket()
    const first = await view(run, ticket)
    await first.peer.expect(GREETING)
    const again = await view(run, ticket)
    await again.peer.expect(GREETING)
    const other = await view(run, await run.ticket(OTHER_TOKEN))
    expect([first.result, again.result, other.result]).toEqual([ok, ok, ok])
  })

  it('CVE-2017-15268 slow reader: a viewer that reads nothing costs under 16 MB, and its session ends', async () => {
    const total = 512 * 1024 * 1024
    let sent = 0
    const flood = async (peer: Peer) => {
      await peer.send(INIT)
      const piece = message(1000, Buffer.alloc(1 << 20))
      for (; sent < total; sent += piece.length) await peer.send(piece, { timeoutMs: 60_000 })
    }
    await using run = await runningSpice({
      script: { channel: (peer) => flood(peer).catch(() => {}) },
      timing: { stalledAfterMs: 500 },
    })
    const before = memoryBytes()
    let peak = before
    const meter = setInterval(() => {
      peak = Math.max(peak, memoryBytes())
    }, 10)
    const { peer } = await view(run, await run.ticket())
    peer.socket.pause()
    await expect
      .poll(() => run.log.records('session ended'), { timeout: 10_000 })
      .toMatchObject([{ reason: 'client_stalled' }])
    clearInterval(meter)
    peer.destroy()
    expect(peak - before).toBeLessThan(16 * 1024 * 1024)
    expect(sent).toBeLessThan(total)
  })

  it('a stop of the proxy ends every session', async () => {
    await using run = await runningSpice()
    const { peer } = await view(run, await run.ticket())
    await peer.expect(GREETING)
    await run.proxy[Symbol.asyncDispose]()
    await peer.closed()
    expect(run.log.records('session ended')).toMatchObject([{ reason: 'draining' }])
  })

  it('a session ends at its maximum duration, and without input', async () => {
    for (const [timing, reason] of [
      [{ maxSessionMs: 200 }, 'time_limit'],
      [{ idleTimeoutMs: 200 }, 'idle'],
    ] as const) {
      await using run = await runningSpice({ timing })
      const { peer } = await view(run, await run.ticket())
      await peer.closed()
      expect(run.log.records('session ended')).toMatchObject([{ reason }])
    }
  })
})

describe('the expiry of a token', () => {
  const expiresAt = new Date(Date.now() - 1_000)

  it('ends its session with enforce_token_expiry', async () => {
    await using run = await runningSpice({ expiresAt, toml: '[sessions]\nenforce_token_expiry = true' })
    const ticket = await run.ticket()
    const { peer, result } = await view(run, ticket)
    expect(result).toBe(ok)
    await peer.closed()
    expect(run.log.records('session ended')).toMatchObject([{ reason: 'token_expired' }])
    expect((await view(run, ticket)).result).toBe(permission_denied)
  })

  it('does not end its session without enforce_token_expiry', async () => {
    await using run = await runningSpice({ expiresAt })
    const ticket = await run.ticket()
    await (await view(run, ticket)).peer.expect(GREETING)
    expect((await view(run, ticket, { name: 'inputs', connectionId: CONNECTION_ID })).result).toBe(ok)
    expect(run.log.records('session ended')).toEqual([])
  })
})

describe('the record of an authority', () => {
  const recorder = () => {
    const heard: string[] = []
    const sessions: Parameters<SessionRecord['opened']>[0][] = []
    const record: SessionRecord = {
      id: 'record-1',
      opened: (session) => {
        heard.push('opened')
        sessions.push(session)
      },
      control: () => {},
      ended: (reason) => void heard.push(reason),
    }
    return { heard, sessions, record }
  }

  it('receives each opening, and the end once the viewer cannot reconnect', async () => {
    const { heard, sessions, record } = recorder()
    await using run = await runningSpice({ record })
    const ticket = await run.ticket()
    for (const count of [1, 2]) {
      const { peer } = await view(run, ticket)
      await peer.expect(GREETING)
      expect(run.proxy.sessions()).toMatchObject([{ id: 'record-1' }])
      if (count === 1) peer.destroy()
      await expect.poll(() => run.log.records('session ended')).toHaveLength(1)
    }
    expect(heard).toEqual(['opened', 'opened'])
    sessions.at(-1)!.end({ reason: 'revoked' })
    expect(heard).toEqual(['opened', 'opened', 'revoked'])
    expect((await view(run, ticket)).result).toBe(permission_denied)
  })

  it.each([
    ['the file was never used', {}, 'client_lost'],
    ['the console could not be dialled', { script: { reply: 'error' } }, 'security_failed'],
  ] as const)('receives the end when %s', async (_name, options, reason) => {
    const { heard, record } = recorder()
    const run = await runningSpice({ record, ...options })
    await run.file()
    await run[Symbol.asyncDispose]()
    expect(heard).toEqual([reason])
  })
})

describe('admission', () => {
  const session = { connectionId: 7, identified: true, migrating: false }
  const open: TicketState = { mayOpen: true, session }
  it.each([
    ['a new main channel', { channelType: 1, connectionId: 0 }, { mayOpen: true }, 'open'],
    [
      'a new main channel after the ticket has expired',
      { channelType: 1, connectionId: 0 },
      { mayOpen: false },
      'refuse',
    ],
    ['a new main channel while a session is open', { channelType: 1, connectionId: 0 }, open, 'open'],
    ['main with an id, without a migration', { channelType: 1, connectionId: 7 }, open, 'refuse'],
    [
      'main with an id, in a migration',
      { channelType: 1, connectionId: 7 },
      { mayOpen: true, session: { ...session, migrating: true } },
      'migrate',
    ],
    [
      'main with another id, in a migration',
      { channelType: 1, connectionId: 8 },
      { mayOpen: true, session: { ...session, migrating: true } },
      'refuse',
    ],
    ['display', { channelType: 2, connectionId: 7 }, open, 'join'],
    [
      'display before the UUID',
      { channelType: 2, connectionId: 7 },
      { mayOpen: true, session: { ...session, identified: false } },
      'refuse',
    ],
    [
      'display before MAIN_INIT',
      { channelType: 2, connectionId: 0 },
      { mayOpen: true, session: { ...session, connectionId: undefined } },
      'refuse',
    ],
    ['display without a session', { channelType: 2, connectionId: 7 }, { mayOpen: true }, 'refuse'],
    ['anything without a ticket', { channelType: 1, connectionId: 0 }, undefined, 'refuse'],
  ] as const)('judges %s', (_name, link, ticket, verdict) => {
    expect(judge(link, ticket)).toBe(verdict)
  })

  it('never admits a further channel with another id', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 11 }),
        fc.nat(0xffffffff),
        fc.boolean(),
        (channelType, connectionId, migrating) => {
          fc.pre(connectionId !== 7)
          expect(judge({ channelType, connectionId }, { mayOpen: true, session: { ...session, migrating } })).toBe(
            'refuse',
          )
        },
      ),
      { numRuns: 500, seed: 5 },
    )
  })
})

const memoryBytes = () => process.memoryUsage().arrayBuffers

async function tryLink(run: SpiceRun) {
  using peer = await run.connect()
  await peer.send(linkOf()).catch(() => {})
  return await readReply(peer).catch(() => undefined)
}

const swapCase = (text: string) =>
  text.replaceAll(/[a-z]/gi, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  )
