/** The presence WebSocket, through a running proxy. */
import { closeReasons, type PresenceState, refusals } from '@oriel/contract'
import { parseListen } from '@oriel/runtime'
import { connectPeer, type Peer } from '@oriel/testkit'
import { keyEvent, updateRequest } from '@oriel/testkit/rfb-messages'
import { describe, expect, it } from 'vitest'
import {
  type DialOptions,
  dial,
  OTHER_TOKEN,
  open,
  type Running,
  type RunOptions,
  running,
  UPGRADE,
  upgrade,
} from '../fixture.ts'
import { openPage, PATH, type PageClient } from './page-client.ts'

const KEY = 'qqqqqqqqqqqqqqqqqqqqqQ'
const OTHER_KEY = 'wwwwwwwwwwwwwwwwwwwwwQ'
const reasonOf = (name: keyof typeof closeReasons) => ({ code: closeReasons[name].code, text: closeReasons[name].text })

const openConsole = (address: string, key = KEY, options: DialOptions = {}) =>
  open(address, { ...options, protocols: ['binary', `oriel.page.${key}`] })

const sessionIds = ({ proxy }: Running) => proxy.sessions().map(({ id }) => id)
const count = (n: number) => (state: PresenceState) => state.participants.length === n

describe('a page beside its console', () => {
  it('sees itself at once, and each session that opens or closes the console', async () => {
    await using it = await running()
    using _console = await openConsole(it.address)
    using page = await openPage(it.address, KEY)
    expect(page.ws.protocol).toBe('oriel.presence')
    const [own] = sessionIds(it)
    await page.state(count(1))
    expect(page.states[0]).toEqual({
      type: 'state',
      you: own,
      participants: [{ id: own, label: null, role: 'control', since: expect.any(String), has_control: true }],
      control: { held_by: null, may_take: true, requested_by: [] },
      ends_at: null,
      latency_ms: null,
    })
    using second = await open(it.address, { path: `/?token=${OTHER_TOKEN}` })
    expect((await page.state(count(2))).participants.map(({ id }) => id)).toEqual(sessionIds(it))
    second.ws.close()
    await page.state(count(1))
  })

  it('takes control, and gives it to another page', async () => {
    await using it = await running()
    using _ann = await openConsole(it.address)
    using _bea = await openConsole(it.address, OTHER_KEY)
    using ann = await openPage(it.address, KEY)
    using bea = await openPage(it.address, OTHER_KEY)
    const [annId, beaId] = sessionIds(it) as [string, string]
    await bea.state(count(2))
    ann.ws.send(JSON.stringify({ type: 'take_control' }))
    await bea.state(({ control }) => control.held_by === annId)
    bea.ws.send(JSON.stringify({ type: 'request_control' }))
    await ann.state(({ control }) => control.requested_by.includes(beaId))
    ann.ws.send(JSON.stringify({ type: 'give_control', to: beaId }))
    const { participants } = await ann.state(({ control }) => control.held_by === beaId)
    expect(participants.map(({ has_control }) => has_control)).toEqual([false, true])
    expect(it.log.records('control of a console changed')).toMatchObject([
      { how: 'taken' },
      { how: 'given', to: beaId },
    ])
  })

  it('may not take control from a session that invited it', async () => {
    const admission = (token: string) => (token === OTHER_TOKEN ? { invited: true } : {})
    await using it = await running({ admission })
    using _ann = await openConsole(it.address)
    using _bob = await openConsole(it.address, OTHER_KEY, { path: `/?token=${OTHER_TOKEN}` })
    using ann = await openPage(it.address, KEY)
    using bob = await openPage(it.address, OTHER_KEY)
    expect((await bob.state(count(2))).control.may_take).toBe(true)
    ann.ws.send(JSON.stringify({ type: 'take_control' }))
    expect((await bob.state(({ control }) => control.held_by !== null)).control.may_take).toBe(false)
    expect(await bob.refusal({ type: 'take_control' })).toMatchObject({ text: expect.stringMatching(/were invited/) })
  })

  it('shows when the session ends at the latest', async () => {
    await using it = await running({ toml: '[sessions]\nmax_seconds = 3600' })
    const before = Date.now()
    using _console = await openConsole(it.address)
    using page = await openPage(it.address, KEY)
    const endsAt = Date.parse((await page.state(count(1))).ends_at!)
    expect(endsAt).toBeGreaterThanOrEqual(before + 3_600_000)
    expect(endsAt).toBeLessThanOrEqual(Date.now() + 3_600_000)
  })

  it('measures the latency with pings', async () => {
    await using it = await running()
    using _console = await openConsole(it.address)
    using page = await openPage(it.address, KEY)
    await page.state(({ latency_ms }) => latency_ms !== null)
  })

  it.each(['/novnc/oriel.session', '/novnc/below/oriel.session'])(
    'is served at %s, in a folder of its type',
    async (path) => {
      await using it = await running({ consoles: ['novnc', 'serial'] })
      using _console = await openConsole(it.address, KEY, {
        path: '/novnc/?token=f9906a48-b71e-4f18-baca-c987da3ebdb3',
      })
      using page = await openPage(it.address, KEY, { path })
      await page.state(count(1))
      await expect(openPage(it.address, KEY, { path: '/serial/oriel.session' })).rejects.toThrow('status 403')
    },
  )
})

describe('the input of sessions that share a console', () => {
  /** Opens a console as a session of the role control, and another as a watcher. The guest echoes input. */
  async function shared(options: RunOptions, openOne = open) {
    await using opened = new AsyncDisposableStack()
    const admission = (token: string) => (token === OTHER_TOKEN ? { role: 'watch' as const, label: 'Cid' } : {})
    const it = opened.use(await running({ admission, ...options }))
    const [ann, cid] = [
      opened.use(await openOne(it.address, { protocols: ['binary', `oriel.page.${KEY}`] })),
      opened.use(
        await openOne(it.address, {
          path: `/?token=${OTHER_TOKEN}`,
          protocols: ['binary', `oriel.page.${OTHER_KEY}`],
        }),
      ),
    ]
    const pages = [opened.use(await openPage(it.address, KEY)), opened.use(await openPage(it.address, OTHER_KEY))]
    const [annId, cidId] = sessionIds(it) as [string, string]
    const close = opened.move()
    return {
      it,
      ann,
      cid,
      pages: pages as [PageClient, PageClient],
      annId,
      cidId,
      [Symbol.asyncDispose]: () => close.disposeAsync(),
    }
  }
  const echo = async (peer: Peer) => {
    for (;;) await peer.send(await peer.read(1, { timeoutMs: 60_000 }))
  }

  it('of a serial port passes only from the session that has control', async () => {
    await using run = await shared({ consoles: ['serial'], hypervisor: (peer) => echo(peer).catch(() => {}) }, dial)
    const {
      ann,
      cid,
      pages: [annPage, cidPage],
      cidId,
    } = run
    const shown = async () => (await Promise.all([ann.read(1), cid.read(1)])).map((bytes) => bytes.toString())
    cid.ws.send('w')
    ann.ws.send('1')
    expect(await shown()).toEqual(['1', '1'])
    expect((await cidPage.state(count(2))).participants).toMatchObject([
      { role: 'control' },
      { role: 'watch', label: 'Cid' },
    ])
    annPage.ws.send(JSON.stringify({ type: 'give_control', to: cidId }))
    await Promise.all([annPage, cidPage].map((page) => page.state(({ control }) => control.held_by === cidId)))
    ann.ws.send('x')
    cid.ws.send('2')
    expect(await shown()).toEqual(['2', '2'])
    cidPage.ws.send(JSON.stringify({ type: 'release_control' }))
    await Promise.all([annPage, cidPage].map((page) => page.state(({ control }) => control.held_by === null)))
    cid.ws.send('y')
    ann.ws.send('3')
    expect(await shown()).toEqual(['3', '3'])
  })

  it('of a VNC console passes only from the session that has control', async () => {
    await using run = await shared({ guest: (peer) => echo(peer).catch(() => {}) })
    const {
      ann,
      cid,
      pages: [annPage, cidPage],
      cidId,
    } = run
    for (const client of [ann, cid]) {
      client.ws.send(Buffer.of(1))
      await client.read(1)
    }
    annPage.ws.send(JSON.stringify({ type: 'give_control', to: cidId }))
    await Promise.all([annPage, cidPage].map((page) => page.state(({ control }) => control.held_by === cidId)))
    for (const client of [ann, cid]) client.ws.send(Buffer.concat([keyEvent, updateRequest]))
    expect(await ann.read(updateRequest.length)).toEqual(updateRequest)
    expect(await cid.read(keyEvent.length + updateRequest.length)).toEqual(Buffer.concat([keyEvent, updateRequest]))
  })

  it('is withheld again from a watcher when the last session of the role control leaves', async () => {
    await using run = await shared({ guest: (peer) => echo(peer).catch(() => {}) })
    const {
      ann,
      cid,
      pages: [annPage, cidPage],
      cidId,
    } = run
    cid.ws.send(Buffer.of(1))
    await cid.read(1)
    annPage.ws.send(JSON.stringify({ type: 'give_control', to: cidId }))
    await cidPage.state(({ control }) => control.held_by === cidId)
    ann.ws.close()
    await cidPage.state(count(1))
    cid.ws.send(Buffer.concat([keyEvent, updateRequest]))
    expect(await cid.read(updateRequest.length)).toEqual(updateRequest)
  })

  it('of a console type with several channels is shared by no page, but each page finds out whether its link works', async () => {
    await using it = await running({ consoles: ['spice-html5'], hypervisor: (peer) => echo(peer).catch(() => {}) })
    const openChannel = (key: string) => dial(it.address, { protocols: ['binary', `oriel.page.${key}`] })
    const main = await openChannel(KEY)
    using _display = await openChannel(KEY)
    using _other = await openChannel(OTHER_KEY)
    using page = await openPage(it.address, KEY)
    const { you, participants } = await page.state(count(1))
    expect(participants).toMatchObject([{ id: you, has_control: true }])
    await page.ping()
    main.ws.close()
    expect(await page.closed()).toEqual(reasonOf('client_closed'))
  })
})

describe('the end of a page', () => {
  it('leaves the console open, and the page may come back', async () => {
    await using it = await running()
    using _console = await openConsole(it.address)
    const page = await openPage(it.address, KEY)
    page.ws.close()
    await page.closed()
    using again = await openPage(it.address, KEY)
    await again.state(count(1))
    expect(it.proxy.sessions()).toHaveLength(1)
  })

  it('comes with the end of its session, with the same reason', async () => {
    await using it = await running({ toml: '[admin]\nlisten = "127.0.0.1:0"' })
    using _console = await openConsole(it.address)
    using page = await openPage(it.address, KEY)
    await fetch(`http://${it.proxy.admin}/sessions/${sessionIds(it)[0]}`, { method: 'DELETE' })
    expect(await page.closed()).toEqual(reasonOf('ended'))
  })

  it('comes when the page opens another WebSocket', async () => {
    await using it = await running()
    using _console = await openConsole(it.address)
    using first = await openPage(it.address, KEY)
    using second = await openPage(it.address, KEY)
    expect(await first.closed()).toEqual(reasonOf('taken_over'))
    await second.state(count(1))
  })

  it('comes with a stop of the proxy, which does not wait for a silent page', async () => {
    const it = await running({ timing: { closeTimeoutMs: 20 } })
    using _console = await openConsole(it.address)
    using page = await openPage(it.address, KEY)
    page.ws.pause()
    await it[Symbol.asyncDispose]()
    expect(it.proxy.sessions()).toEqual([])
  })

  it('comes for a page that answers no ping', async () => {
    await using it = await running({ timing: { pingIntervalMs: 200 } })
    using _console = await openConsole(it.address)
    using page = await openPage(it.address, KEY, { autoPong: false })
    expect(await page.closed()).toMatchObject({ code: 1006 })
    expect(it.proxy.sessions()).toHaveLength(1)
  })
})

describe('a request of a page', () => {
  it('ends the session: leave', async () => {
    await using it = await running()
    using console = await openConsole(it.address)
    using page = await openPage(it.address, KEY)
    page.ws.send('{"type":"leave"}')
    expect(await console.closed()).toEqual(reasonOf('client_closed'))
    expect(await page.closed()).toEqual(reasonOf('client_closed'))
  })

  it.each([
    [{ type: 'release_control' }, 'release_control', /do not have control alone/],
    [{ type: 'give_control', to: 'nobody' }, 'give_control', /has left/],
    [{ type: 'give_control' }, 'give_control', /malformed/],
    [{ type: 'take_control', for: 'bea' }, 'take_control', /malformed/],
    [{ type: 'seize' }, 'seize', /does not know/],
    [{ type: 'x'.repeat(99) }, 'x'.repeat(64), /does not know/],
  ])('%j is refused with a sentence', async (request, type, text) => {
    await using it = await running()
    using _console = await openConsole(it.address)
    using page = await openPage(it.address, KEY)
    await page.state(count(1))
    expect(await page.refusal(request)).toEqual({ type: 'refused', request: type, text: expect.stringMatching(text) })
  })

  it('ping is answered, so that a page notices a dead link', async () => {
    await using it = await running()
    using _console = await openConsole(it.address)
    using page = await openPage(it.address, KEY)
    await page.ping()
    await page.ping()
  })

  it.each(['', 'x', '[]', 'null', '7', '{"type":7}', '[{"type":"leave"}]', Buffer.from('{"type":"leave"}')])(
    '%j is no request, and ends the WebSocket alone',
    async (message) => {
      await using it = await running()
      using _console = await openConsole(it.address)
      using page = await openPage(it.address, KEY)
      page.ws.send(message)
      expect(await page.closed()).toEqual(reasonOf('protocol_error'))
      expect(it.proxy.sessions()).toHaveLength(1)
    },
  )

  it('above 4 KiB ends the WebSocket alone', async () => {
    await using it = await running()
    using _console = await openConsole(it.address)
    using page = await openPage(it.address, KEY)
    page.ws.send(JSON.stringify({ type: 'x'.repeat(4096) }))
    expect((await page.closed()).code).toBe(1009)
    expect(it.proxy.sessions()).toHaveLength(1)
  })

  it('is refused beyond 60 in a minute, which reach no other page', async () => {
    await using it = await running()
    using _ann = await openConsole(it.address)
    using _bea = await openConsole(it.address, OTHER_KEY)
    using ann = await openPage(it.address, KEY)
    using bea = await openPage(it.address, OTHER_KEY)
    await ann.state(count(2))
    for (let i = 0; i < 60; i += 1) ann.ws.send(JSON.stringify({ type: i % 2 ? 'release_control' : 'take_control' }))
    expect(await ann.refusal({ type: 'take_control' })).toMatchObject({
      request: 'take_control',
      text: expect.stringMatching(/Too many/),
    })
    await bea.refusal({ type: 'release_control' })
    expect(bea.states.at(-1)?.control.held_by).toBeNull()
    expect(it.log.records('control of a console changed')).toHaveLength(60)
  })

  it('counts towards the limit of its session after the page has reconnected', async () => {
    await using it = await running()
    using _console = await openConsole(it.address)
    using page = await openPage(it.address, KEY)
    for (let i = 0; i < 60; i += 1) page.ws.send(JSON.stringify({ type: i % 2 ? 'release_control' : 'take_control' }))
    await page.refusal({ type: 'take_control' })
    using again = await openPage(it.address, KEY)
    expect(await again.refusal({ type: 'take_control' })).toMatchObject({ text: expect.stringMatching(/Too many/) })
  })
})

describe('the presence WebSocket is refused', () => {
  const OFFER = `Sec-WebSocket-Protocol: oriel.presence, oriel.page.${KEY}`
  const statusOf = async (it: Running, lines: string[], path = PATH) => (await upgrade(it.address, path, lines)).status

  it('without a key, without a session of that key, and without its subprotocol', async () => {
    await using it = await running()
    using _console = await openConsole(it.address, OTHER_KEY)
    expect(await statusOf(it, [OFFER])).toBe(refusals.unknown_token.status)
    expect(await statusOf(it, ['Sec-WebSocket-Protocol: oriel.presence'])).toBe(refusals.missing_token.status)
    expect(await statusOf(it, [`Sec-WebSocket-Protocol: oriel.page.${OTHER_KEY}`])).toBe(400)
    expect(await statusOf(it, [`Sec-WebSocket-Protocol: binary, oriel.page.${OTHER_KEY}`])).toBe(400)
    expect(await statusOf(it, [])).toBe(400)
    expect(it.nova.requests.filter(({ url }) => url.includes('oriel.session'))).toEqual([])
  })

  it('once the session has ended', async () => {
    await using it = await running()
    const console = await openConsole(it.address)
    console.ws.close()
    await console.closed()
    await expect.poll(() => statusOf(it, [OFFER])).toBe(refusals.unknown_token.status)
  })

  it('to a page of another origin, and to another host at a local listener', async () => {
    await using it = await running()
    using _console = await openConsole(it.address)
    expect(await statusOf(it, [OFFER, 'Origin: http://evil.example'])).toBe(403)
    expect(it.log.records('refused')).toMatchObject([{ refusal: 'foreign_origin' }])
    await using local = await running({ unauthenticated: true })
    using _other = await openConsole(local.address)
    expect(await statusOf(local, [OFFER, 'Host: evil.example'])).toBe(421)
  })

  it('after too many unknown keys from one address', async () => {
    await using it = await running({ toml: '[sessions]\nunknown_tokens_per_minute = 2' })
    expect([await statusOf(it, [OFFER]), await statusOf(it, [OFFER]), await statusOf(it, [OFFER])]).toEqual([
      403, 403, 429,
    ])
  })

  it('as a close event, to a page that offers oriel.refusals', async () => {
    await using it = await running()
    using client = await dial(it.address, {
      path: PATH,
      protocols: ['oriel.presence', `oriel.page.${KEY}`, 'oriel.refusals'],
    })
    expect((await client.closed()).code).toBe(4403)
  })
})

it('a page that reads nothing costs its own WebSocket alone', async () => {
  await using it = await running({ timing: { pingIntervalMs: 200 } })
  using _ann = await openConsole(it.address)
  using _bea = await openConsole(it.address, OTHER_KEY)
  using stalled = await connectPeer(parseListen(it.address))
  const offer = `Sec-WebSocket-Protocol: oriel.presence, oriel.page.${KEY}`
  await stalled.send(Buffer.from([`GET ${PATH} HTTP/1.1`, 'Host: h', ...UPGRADE, offer, '', ''].join('\r\n')))
  using bea = await openPage(it.address, OTHER_KEY)
  await bea.state(count(2))
  await stalled.closed()
  expect(it.proxy.sessions()).toHaveLength(2)
  expect(bea.ws.readyState).toBe(bea.ws.OPEN)
})
