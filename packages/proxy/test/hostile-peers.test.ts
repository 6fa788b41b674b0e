/** Arbitrary data from a hypervisor, an authority or another process of the fleet affects only its own connection. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Secret } from '@oriel/runtime'
import { noAuth } from '@oriel/sdk'
import { type Peer, scriptedServer } from '@oriel/testkit'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startBeats } from '../src/authority/beats.ts'
import { Ledger } from '../src/authority/ledger.ts'
import { ResponseHeader } from '../src/consoles/webmks.ts'
import { Calls } from '../src/fleet/calls.ts'
import type { PrimaryAnswers } from '../src/fleet/contract.ts'
import { FleetFigures } from '../src/fleet/figures.ts'
import { remoteSlots } from '../src/fleet/worker.ts'
import { connectHypervisor } from '../src/hypervisor/tcp-leg.ts'
import { novaAuthority, orielAuthority } from '../src/index.ts'
import { Refused } from '../src/refused.ts'
import { capture, INSTANCE, open, running, shakeThen, upgrade } from './fixture.ts'
import { anyJson, hostileValues, spoilt } from './hostile-json.ts'
import { runningSpice } from './spice/fixture.ts'

const uncaught: unknown[] = []
const note = (error: unknown) => void uncaught.push(error)
beforeEach(() => {
  uncaught.length = 0
  process.on('uncaughtException', note).on('unhandledRejection', note)
})
afterEach(async () => {
  await delay(0)
  process.off('uncaughtException', note).off('unhandledRejection', note)
  expect(uncaught).toEqual([])
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
})

const never = new AbortController().signal

describe('a leg to a hypervisor', () => {
  it('closes with the error of a handler that throws, while other legs continue', async () => {
    await using hypervisor = await scriptedServer(async (peer) => {
      await peer.send(Buffer.from('hello'))
      await peer.closed({ timeoutMs: 60_000 })
    })
    using bad = await connectHypervisor(hypervisor, never)
    using good = await connectHypervisor(hypervisor, never)
    const fault = new Error('a reader that trips over what came')
    bad.take(() => {
      throw fault
    })
    expect(await bad.closed).toBe(fault)
    const { promise, resolve } = Promise.withResolvers<string>()
    good.take((bytes) => {
      resolve(String(bytes))
      good.giveBack(bytes)
      return true
    })
    expect(await promise).toBe('hello')
  })

  it('rejects every malformed response to CONNECT', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom('HTTP/1.1 200 OK\r\n', '\r\n\r\n', 'HTTP/1.0 ', '200').map((text) => Buffer.from(text)),
    )
    const property = fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const header = new ResponseHeader()
      try {
        for (const each of pieces) if (header.push(each)) return
      } catch (error) {
        expect(error).toBeInstanceOf(Refused)
      }
    })
    fc.assert(property)
  })
})

/** Parts of RFB, SPICE and HTTP, valid or corrupted, and arbitrary bytes. */
const bytesOfAny = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom('RFB 003.008\n', 'RFB 003.003\n', 'REDQ', 'HTTP/1.1 200 OK\r\n\r\n')
        .map((text) => Buffer.from(text)),
      fc
        .constantFrom('0101', '0113', '00', '00000000', 'ffffffff', '0000', '7fffffff')
        .map((text) => Buffer.from(text, 'hex')),
      fc.nat(5000).map((length) => Buffer.alloc(length, 0xff)),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((pieces) => Buffer.concat(pieces))

describe('a proxy whose hypervisors send arbitrary bytes', () => {
  it('ends only those consoles, while an earlier VNC console continues', { timeout: 60_000 }, async () => {
    let next: Buffer | undefined
    const play = async (peer: Peer) => {
      const bytes = next
      if (!bytes) return shakeThen(peer, async (guest) => guest.send(await guest.read(5)))
      await peer.send(bytes)
      peer.socket.end()
    }
    await using it = await running({ hypervisor: (peer) => play(peer).catch(() => {}) })
    using client = await open(it.address)
    for (const bytes of fc.sample(bytesOfAny, 150)) {
      next = bytes
      const { status } = await upgrade(it.address)
      expect([101, 502, 504]).toContain(status)
    }
    client.ws.send(Buffer.from('still'))
    const [echoed] = (await once(client.ws, 'message')) as [Buffer]
    expect(String(echoed)).toBe('still')
  })

  it('answers every request for a .vv file', { timeout: 60_000 }, async () => {
    let next = Buffer.alloc(0)
    const play = async (peer: Peer) => {
      await peer.send(next)
      peer.socket.end()
    }
    await using it = await runningSpice({ hypervisor: (peer) => play(peer).catch(() => {}) })
    for (const bytes of fc.sample(bytesOfAny, 60)) {
      next = bytes
      const { status } = await it.file()
      expect([200, 429, 502, 503, 504]).toContain(status)
    }
  })
})

/** A `fetch` that answers with `bodyOf(url)` as JSON. */
const answering = (bodyOf: (url: string) => string) => async (url: string) =>
  new Response(bodyOf(url), { status: 200, headers: { 'Content-Type': 'application/json' } })

/** Expects that the authority returns an admission that can be dialled, or refuses. */
async function judged(admitting: Promise<{ host: string; port: number; expiresAt?: Date }>): Promise<void> {
  try {
    const { host, port, expiresAt } = await admitting
    expect(host).toMatch(/^[\w.:%-]+$/)
    expect(port).toBeGreaterThanOrEqual(0)
    expect(port).toBeLessThanOrEqual(65535)
    if (expiresAt) expect(expiresAt.getTime()).not.toBeNaN()
  } catch (error) {
    expect(error).toBeInstanceOf(Refused)
  }
}

describe('an authority', () => {
  const version = {
    id: 'v2.1',
    status: 'CURRENT',
    version: '2.99',
    min_version: '2.1',
    links: [],
    updated: '2013-07-23T11:33:21Z',
  }
  const console_ = { instance_uuid: INSTANCE, host: '10.0.0.5', port: 5901, internal_access_path: null, tls_port: null }

  it('of kind nova can answer anything without a crash of the proxy', async () => {
    const answer = fc.record({
      versions: fc.oneof(
        fc.constant(JSON.stringify({ version })),
        spoilt({ version }, 'version', 'version.version', 'version.min_version'),
        anyJson,
      ),
      console: fc.oneof(
        spoilt({ console: console_ }, 'console', ...Object.keys(console_).map((key) => `console.${key}`)),
        anyJson,
      ),
      server: fc.oneof(
        spoilt(
          { server: { id: INSTANCE, name: 'web' } },
          'server',
          'server.id',
          'server.name',
          'server.OS-EXT-SRV-ATTR:instance_name',
        ),
        anyJson,
      ),
    })
    const property = fc.asyncProperty(answer, async ({ versions, console, server }) => {
      const fetch = answering((url) =>
        url.includes('/os-console') ? console : url.includes('/servers/') ? server : versions,
      )
      await using nova = novaAuthority({ endpoint: 'http://nova.example/v2.1', auth: noAuth(), timeoutMs: 5000, fetch })
      await judged(nova.admit(new Secret('a-token'), { address: '192.0.2.1' }, never))
      await nova.names!(INSTANCE, never).catch((error: unknown) => expect(error).toBeInstanceOf(Refused))
    })
    await fc.assert(property, { numRuns: 150 })
  })

  it('of kind oriel can answer anything to an admission without a crash of the proxy', async () => {
    const honest = {
      session: {
        id: 's1',
        console: {
          ...{ ...console_, instance_name: 'web', project_id: 'p', user_id: 'u', protocol: 'vnc', type: 'novnc' },
          ...{ base_url: 'http://127.0.0.1:6080/vnc_lite.html', expires_at: '2099-01-01T00:00:00.000Z' },
        },
      },
    }
    const paths = [
      'session',
      'session.id',
      ...Object.keys(honest.session.console).map((key) => `session.console.${key}`),
    ]
    const property = fc.asyncProperty(fc.oneof(spoilt(honest, ...paths), anyJson), async (answer) => {
      const fetch = answering((url) => (url.endsWith('/sessions') ? answer : '{"beat_seconds":3600,"end":[]}'))
      const options = { endpoint: 'http://oriel.example', auth: noAuth(), timeoutMs: 5000, proxyId: 'one', fetch }
      await using oriel = orielAuthority({ ...options, log: capture().logger })
      await judged(oriel.admit(new Secret('a-token'), { address: '192.0.2.1' }, never))
    })
    await fc.assert(property, { numRuns: 150 })
  })

  it('of kind oriel can end only open sessions, for a known reason', () => {
    const each = fc.oneof(spoilt({ id: 's1', reason: 'revoked' }, 'id', 'reason'), anyJson)
    const property = fc.property(fc.array(each, { maxLength: 4 }), (wanted) => {
      const ledger = new Ledger()
      const reasons: string[] = []
      ledger.admitted('s1').opened({ view: {} as never, end: ({ reason }) => void reasons.push(reason) })
      ledger.end(JSON.parse(`[${[...wanted, '{"id":"s1","reason":"revoked"}'].join(',')}]`))
      expect(reasons).toContain('revoked')
      expect(reasons.every((reason) => /^[a-z_]+$/.test(reason))).toBe(true)
    })
    fc.assert(property)
  })

  it.each([0, -5, 1e12])(
    'of kind oriel that asks for a beat every %s seconds still gets pauses',
    async (beat_seconds) => {
      let beats = 0
      const send = async () => {
        beats += 1
        return { beat_seconds, end: [] }
      }
      vi.useFakeTimers()
      try {
        const diagnose = () => ({ path: 'authority.endpoint', message: 'unused', isRefusal: false })
        const [ledger, log] = [new Ledger(), capture().logger]
        await using _beating = startBeats({ ledger, send, lastBeatTimeoutMs: 100, diagnose, log })
        await vi.advanceTimersByTimeAsync(500)
        expect(beats).toBe(1)
      } finally {
        vi.useRealTimers()
      }
    },
  )
})

describe('another process of the fleet', () => {
  it.each(hostileValues.map((json) => [json.slice(0, 40), json]))(
    'can send %s in any member of a message without a crash',
    async (_, json) => {
      const value: unknown = JSON.parse(json)
      const sent: { i?: unknown }[] = []
      const send = (message: object) => void sent.push(message)
      const calls = new Calls<PrimaryAnswers>(send, { enter: (name: string) => name.length, leave: () => {} })
      const asked = calls.ask('enter', {} as never).catch(() => {})
      const late = Promise.withResolvers<unknown>()
      const askedFor = calls.askFor(late.resolve, 'enter', {} as never).catch(() => {})
      const [first, second] = sent.map(({ i }) => i)
      for (const message of [
        value,
        { t: value, i: first },
        { t: 'q', i: value, m: 'enter', a: [] },
        { t: 'q', i: '1', m: value, a: [] },
        { t: 'q', i: '1', m: 'enter', a: value },
        { t: 'q', i: '1', m: 'enter', a: [value] },
        { t: 'q', i: '1', m: 'enter', a: [], o: value },
        { t: 's', i: value },
        { t: 's', i: first, e: value },
        { t: 's', i: second, r: value },
        { t: 's', i: 'another', r: value, e: value },
      ]) {
        calls.take(message)
      }
      calls.close()
      await Promise.all([asked, askedFor])
    },
  )

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])('cannot call %s', async (m) => {
    const answered = Promise.withResolvers<unknown>()
    const calls = new Calls<PrimaryAnswers>(answered.resolve, {})
    calls.take({ t: 'q', i: '1', m, a: [] })
    expect(await answered.promise).toEqual({ t: 's', i: '1', e: `[birpc] function "${m}" not found` })
  })

  it('can answer anything to a request for a slot', async () => {
    const answer = fc.oneof(
      spoilt({ slot: 1 }, 'slot'),
      spoilt({ refusal: 'too_many', detail: 'x' }, 'refusal', 'detail'),
      anyJson,
    )
    const property = fc.asyncProperty(answer, async (json) => {
      const told: unknown[] = []
      const slots = remoteSlots({
        ask: async (...args) => void told.push(args),
        askFor: async (late) => {
          late(JSON.parse(json) as never)
          return JSON.parse(json)
        },
      } as Pick<Calls<PrimaryAnswers>, 'ask' | 'askFor'>)
      const entrant = { tokenDigest: 't', instance: 'i', client: 'c', type: 'novnc' as const }
      const slot = await Promise.resolve(slots.enter(entrant)).catch((error: unknown) => error)
      if (slot instanceof Error) expect(slot.message).toBeTypeOf('string')
      else (slot as Disposable)[Symbol.dispose]()
    })
    await fc.assert(property)
  })

  it('can answer anything to a request for metrics, while the metrics of the others are shown', async () => {
    const good = [{ name: 'up', help: 'h', type: 'gauge', aggregator: 'sum', values: [{ value: 1, labels: {} }] }]
    for (const json of hostileValues) {
      for (const text of [
        json,
        `[${json}]`,
        `[{"name":${json}}]`,
        `[{"name":"up","aggregator":${json}}]`,
        `[{"name":"x","aggregator":"sum","values":${json}}]`,
      ]) {
        const figures = new FleetFigures()
        expect(await figures.note(0, good)).toBe(true)
        await figures.note(1, JSON.parse(text))
        expect(await figures.text([])).toContain('up 1')
        await figures.retire(1)
      }
    }
  })
})

it('a server that resets at once fails only that dial', async () => {
  const server = createServer((socket) => socket.resetAndDestroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const leg = await connectHypervisor({ host: '127.0.0.1', port }, never).catch((error: Error) => error)
  if (!(leg instanceof Error)) expect(await leg.closed).toBeInstanceOf(Error)
  server.close()
})
