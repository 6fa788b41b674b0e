/** Vulnerabilities of similar systems, tested on the listeners of a running proxy. */
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseListen, sha256Hex } from '@oriel/runtime'
import { scriptedServer, temporaryFolder, within } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { createProxy } from '../../src/index.ts'
import {
  capture,
  configOf,
  dial,
  INSTANCE,
  OTHER_TOKEN,
  open,
  type RawAnswer,
  raw,
  running,
  shakeThen,
  TOKEN,
  UPGRADE,
  upgrade,
} from '../fixture.ts'
import { runningSpice } from '../spice/fixture.ts'

const ADMIN = '[admin]\nlisten = "127.0.0.1:0"'
const TRUSTING = '[origin]\ntrusted_proxies = ["127.0.0.1"]\nallowed = ["https://portal.example", "partner.example"]'

/** A proxy whose authority returns the console's base URL, like oriel-api and unlike Nova. */
async function withBaseUrl(baseUrl: string, toml = TRUSTING) {
  await using opened = new AsyncDisposableStack()
  const { host, port } = opened.use(
    await scriptedServer((peer) => shakeThen(peer, (guest) => guest.closed({ timeoutMs: 60_000 }))),
  )
  const authority = {
    health: { name: 'authority', check: () => {} },
    admit: async () => ({ instance: INSTANCE, host, port, baseUrl }),
    async [Symbol.asyncDispose]() {},
  }
  const log = capture()
  const proxy = opened.use(
    await createProxy({ config: configOf('http://127.0.0.1:1', toml), authority, log: log.logger }),
  )
  const close = opened.move()
  return { address: proxy.listeners[0]!.address, log, [Symbol.asyncDispose]: () => close.disposeAsync() }
}

/** Sends an Upgrade, drops its connection, and returns the status. */
async function statusOf(address: string, headers: readonly string[], target = `/?token=${TOKEN}`): Promise<number> {
  const host = headers.some((line) => /^host:/i.test(line)) ? [] : ['Host: h.example:6080']
  const socket = connect(parseListen(address))
  socket.on('error', () => {})
  socket.write([`GET ${target} HTTP/1.1`, ...host, ...UPGRADE, ...headers, '', ''].join('\r\n'))
  const [data] = await within(once(socket, 'data'), 10_000, () => 'no answer')
  socket.destroy()
  return Number(String(data).split(' ')[1])
}

describe('CVE-2015-0259 cross-site hijack', () => {
  it.each<[string, string[], number]>([
    ['none, as from a client that is not a browser', [], 101],
    ['the same host', ['Origin: https://h.example'], 101],
    ['the same host on another port', ['Origin: https://h.example:8443'], 101],
    ['the same host in capitals and with a dot', ['Origin: https://H.Example.'], 101],
    ['the same host by the wrong scheme', ['Origin: http://h.example'], 403],
    ['an allowed origin', ['Origin: https://portal.example'], 101],
    ['an allowed origin by the wrong scheme', ['Origin: http://portal.example'], 403],
    ['an allowed name', ['Origin: https://partner.example'], 101],
    ['a foreign origin', ['Origin: https://evil.example'], 403],
    ['null', ['Origin: null'], 403],
    ['an empty one', ['Origin: '], 403],
    ['a sub-domain of the host', ['Origin: https://x.h.example'], 403],
    ['a look-alike before', ['Origin: https://evilh.example'], 403],
    ['a look-alike behind', ['Origin: https://h.example.evil.example'], 403],
    ['with a user', ['Origin: https://h.example@evil.example'], 403],
    ['with a path', ['Origin: https://h.example/x'], 403],
    ['of another kind', ['Origin: file://h.example'], 403],
    ['two origins in one header', ['Origin: https://h.example, https://evil.example'], 403],
    ['two headers, the foreign one first', ['Origin: https://evil.example', 'Origin: https://h.example'], 403],
    ['two headers, the foreign one last', ['Origin: https://h.example', 'Origin: https://evil.example'], 403],
    ['the host in X-Forwarded-Host', ['X-Forwarded-Host: w.example', 'Origin: https://w.example'], 101],
    [
      'the same host over http, with X-Forwarded-Proto: https',
      ['X-Forwarded-Proto: https', 'Origin: http://h.example'],
      403,
    ],
    ['https, with X-Forwarded-Proto: http', ['X-Forwarded-Proto: http', 'Origin: https://h.example'], 403],
  ])('judges the Origin of an Upgrade: %s', async (_, headers, status) => {
    await using proxy = await withBaseUrl('https://h.example/vnc_lite.html')
    expect(await statusOf(proxy.address, headers)).toBe(status)
  })

  it('ignores X-Forwarded-* of an untrusted peer', async () => {
    await using proxy = await withBaseUrl('https://h.example/', '[origin]\ntrusted_proxies = ["192.0.2.1"]')
    const forged = ['X-Forwarded-Proto: https', 'X-Forwarded-Host: evil.example', 'X-Forwarded-For: 203.0.113.9']
    expect(await statusOf(proxy.address, [...forged, 'Origin: http://h.example'])).toBe(403)
    expect(await statusOf(proxy.address, [...forged, 'Origin: https://evil.example'])).toBe(403)
    expect(await statusOf(proxy.address, forged)).toBe(101)
    expect(proxy.log.records('session opened')).toMatchObject([{ client: '127.0.0.1' }])
  })

  it('uses the last untrusted address in X-Forwarded-For of a trusted proxy as the client', async () => {
    await using proxy = await withBaseUrl('https://h.example/')
    expect(await statusOf(proxy.address, ['X-Forwarded-For: 203.0.113.9, 192.0.2.7, 127.0.0.1'])).toBe(101)
    expect(proxy.log.records('session opened')).toMatchObject([{ client: '192.0.2.7' }])
  })
})

// Nova's REST API returns no base URL, so only the listener and its load balancers know the scheme of the pages.
describe('the scheme of a page, with the authority nova', () => {
  const trusted = '[origin]\ntrusted_proxies = ["127.0.0.1"]\n'
  const [clear, secure] = ['Origin: http://h.example', 'Origin: https://h.example']
  const https = 'X-Forwarded-Proto: https'
  const base = (url: string) => ({ baseUrl: url })
  it.each<[string, { toml?: string; baseUrl?: string }, string[], number]>([
    ['an http page, and a load balancer that sends https', { toml: trusted }, [https, clear], 403],
    [
      'an http page, and a load balancer that sends https first',
      { toml: trusted },
      ['X-Forwarded-Proto: https, http', clear],
      403,
    ],
    ['an http page, and a load balancer that sends wss', { toml: trusted }, ['X-Forwarded-Proto: wss', clear], 403],
    ['an http page, and a load balancer that sends http', { toml: trusted }, ['X-Forwarded-Proto: http', clear], 101],
    ['an http page, and a load balancer that sends no header', { toml: trusted }, [clear], 101],
    ['an http page, and an untrusted peer that sends https', {}, [https, clear], 101],
    ['an https page, and a load balancer that sends https', { toml: trusted }, [https, secure], 101],
    ['an https page, and a load balancer that sends http', { toml: trusted }, ['X-Forwarded-Proto: http', secure], 101],
    ['an https page, and a load balancer that sends no header', { toml: trusted }, [secure], 101],
    ['an http page, and a base_url of https', base('https://h.example'), [clear], 403],
    ['an http page, and a base_url of http', base('http://h.example'), [clear], 101],
    [
      'an http page, and a base_url of http that overrides the load balancer',
      { toml: trusted, ...base('http://h.example') },
      [https, clear],
      101,
    ],
    [
      'a page of the host in base_url, which the load balancer replaces',
      base('https://public.example/'),
      ['Origin: https://public.example'],
      101,
    ],
    [
      'an http page of an allowed name',
      { toml: `${trusted}allowed = ["partner.example"]` },
      [https, 'Origin: http://partner.example'],
      403,
    ],
    [
      'an http page of an origin that is allowed with http://',
      { toml: `${trusted}allowed = ["http://partner.example"]` },
      [https, 'Origin: http://partner.example'],
      101,
    ],
    ['no page', { toml: trusted }, [https], 101],
  ])('is judged for %s', async (_, { toml = '', baseUrl }, headers, status) => {
    await using proxy = await running({
      toml,
      ...(baseUrl === undefined ? {} : { listener: `base_url = "${baseUrl}"` }),
    })
    expect(await statusOf(proxy.address, headers)).toBe(status)
  })
})

describe('CVE-2024-32652 bad Host', () => {
  it.each([
    ['empty', ['Host: ']],
    ['with a slash', ['Host: h/x']],
    ['with slashes alone', ['Host: //']],
    ['with a user', ['Host: a@b']],
    ['with a blank', ['Host: a b']],
    ['a URL', ['Host: http://h.example']],
    ['an open bracket', ['Host: [::1']],
    ['a malformed port', ['Host: h:x']],
    ['twice', ['Host: h', 'Host: i']],
    ['none', []],
  ])('answers an Upgrade and a page request with 400 for a Host: %s', async (_, host) => {
    await using proxy = await running({ toml: ADMIN })
    const upgraded = await raw(proxy.address, [`GET /?token=${TOKEN} HTTP/1.1`, ...host, ...UPGRADE])
    expect(upgraded.status).toBe(400)
    const page = await raw(proxy.address, ['GET /vnc.html HTTP/1.1', ...host, 'Connection: close'])
    expect(page.status).toBe(400)
    expect(proxy.nova.requests).toHaveLength(0)
    const admin = await raw(proxy.proxy.admin!, ['GET /sessions HTTP/1.1', ...host, 'Connection: close'])
    expect([400, 403]).toContain(admin.status)
  })

  it('answers a health check over HTTP/1.0 without a Host', async () => {
    await using proxy = await running()
    expect((await raw(proxy.address, ['GET /oriel.json HTTP/1.0'])).status).toBe(200)
  })
})

describe('CVE-2026-29087, CVE-2026-39406 static files and CVE-2021-3654 open redirect, on the admin listener', () => {
  const token = 'token-of-an-operator'
  it.each([
    '//sessions',
    '/sessions/',
    '/sessions//',
    '/./sessions',
    '/x/../sessions',
    '/%73essions',
    '/sessions%2f',
    '/sessions%00',
    '/SESSIONS',
    '/sessions;x',
    '/metrics/../sessions',
    '/metrics/..%2fsessions',
    '/\\sessions',
    '//evil.example/sessions',
    '/%2f%2fevil.example',
    '/%0d%0aLocation:%20http://evil.example',
    '/__proto__',
    '/constructor',
    'http://evil.example/sessions',
  ])('%s neither lists sessions nor redirects', async (path) => {
    await using proxy = await running({ toml: `${ADMIN}\ntoken_sha256 = "${sha256Hex(token)}"` })
    using _client = await open(proxy.address)
    for (const more of [[], [`Authorization: Bearer ${token}`]]) {
      const { status, head, body } = await raw(proxy.proxy.admin!, [
        `GET ${path} HTTP/1.1`,
        ...['Host: 127.0.0.1', 'Connection: close', ...more],
      ])
      expect([400, 401, 404]).toContain(status)
      expect(head.toLowerCase()).not.toContain('location')
      expect(body).not.toContain(INSTANCE)
    }
  })
})

describe('CVE-2024-37890, CVE-2026-48779, CVE-2026-45736 ws', () => {
  it('is a version with the fixes', async () => {
    const { version } = createRequire(import.meta.url)('ws/package.json') as { version: string }
    const [major = 0, minor = 0] = version.split('.').map(Number)
    expect(major * 1000 + minor).toBeGreaterThanOrEqual(8023)
  })

  /** A client's frame, masked with zeros. */
  const frame = (first: number, payload: Buffer) => {
    const length =
      payload.length < 126
        ? Buffer.of(0x80 | payload.length)
        : Buffer.of(0x80 | 126, payload.length >> 8, payload.length & 255)
    return Buffer.concat([Buffer.of(first), length, Buffer.alloc(4), payload])
  }

  it.each<[string, Buffer]>([
    [
      'a close reason above the size of a control frame',
      frame(0x88, Buffer.concat([Buffer.of(3, 232), Buffer.alloc(200, 'x')])),
    ],
    ['a close reason that is not UTF-8', frame(0x88, Buffer.of(3, 232, 0xff, 0xfe))],
    ['an invalid close code', frame(0x88, Buffer.of(0, 1))],
    ['half a close code', frame(0x88, Buffer.of(3))],
    ['a frame without a mask', Buffer.of(0x82, 1, 0)],
    ['a frame with an unknown opcode', frame(0x83, Buffer.of(0))],
    ['a compressed frame', frame(0xc2, Buffer.of(0))],
    ['a continuation without a first frame', frame(0x80, Buffer.of(0))],
    ['a fragment of a ping', frame(0x09, Buffer.of(0))],
  ])('ends only the session that sends %s', async (_, bytes) => {
    await using proxy = await running()
    using other = await open(proxy.address, { path: `/?token=${OTHER_TOKEN}` })
    const socket = connect(parseListen(proxy.address))
    socket.on('error', () => {})
    socket.write([`GET /?token=${TOKEN} HTTP/1.1`, 'Host: h', ...UPGRADE, '', ''].join('\r\n'))
    await once(socket, 'data')
    socket.write(bytes)
    await expect.poll(() => proxy.log.records('session ended')).toMatchObject([{ reason: 'protocol_error' }])
    expect(other.ws.readyState).toBe(other.ws.OPEN)
    socket.destroy()
  })

  it('ends the session within the first part of ten million one-byte fragments', async () => {
    await using proxy = await running()
    using client = await open(proxy.address)
    // Use the connection below the client, because the client would refuse to send such a frame.
    const { _socket: wire } = client.ws as unknown as { _socket: Socket }
    const first = Buffer.of(0x02, 0x81, 0, 0, 0, 0, 1)
    const next = Buffer.of(0x00, 0x81, 0, 0, 0, 0, 1)
    const piece = Buffer.concat(Array.from({ length: 10_000 }, () => next))
    wire.write(first)
    let sent = 0
    for (; sent < 1_000 && !wire.destroyed; sent += 1) {
      if (!wire.write(piece)) await Promise.race([once(wire, 'drain'), once(wire, 'close')]).catch(() => {})
    }
    await expect.poll(() => proxy.log.records('session ended')).toHaveLength(1)
    expect(proxy.log.records('session ended')[0]!.reason).toMatch(/message_too_big|protocol_error/)
    expect(sent).toBeLessThan(1_000)
  })
})

describe('bearer URLs', () => {
  const used = async (address: string, path = `/?token=${TOKEN}`) => {
    using client = await open(address, { path })
    client.ws.close()
    await client.closed()
  }

  it('with single_use, refuse a second use, and do not count a failed one', async () => {
    await using proxy = await running({ toml: '[sessions]\nsingle_use = true' })
    const { host, port } = proxy.hypervisor
    proxy.nova.tokens.set(TOKEN, { instance_uuid: INSTANCE, host, port: 1 })
    expect((await upgrade(proxy.address)).status).toBe(502)
    proxy.nova.tokens.set(TOKEN, { instance_uuid: INSTANCE, host, port })
    await used(proxy.address)
    const again = await upgrade(proxy.address)
    expect(again.status).toBe(403)
    expect(again.body).toContain('not valid any more')
    expect((await upgrade(proxy.address, '/', [`Cookie: token=${TOKEN}`])).status).toBe(403)
    await used(proxy.address, `/?token=${OTHER_TOKEN}`)
  })

  it('with single_use, refuse one of two simultaneous uses', async () => {
    await using proxy = await running({ toml: '[sessions]\nsingle_use = true' })
    const both = await Promise.allSettled([open(proxy.address), open(proxy.address)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    for (const one of both) if (one.status === 'fulfilled') one.value[Symbol.dispose]()
  })

  it('with single_use, open no SPICE console after a serial one, nor the reverse', async () => {
    await using proxy = await running({
      consoles: ['serial', 'spice-html5'],
      hypervisor: (peer) => peer.closed({ timeoutMs: 60_000 }),
      toml: '[sessions]\nsingle_use = true',
    })
    const path = (type: string, token: string) => `/${type}/?token=${token}`
    using _serial = await dial(proxy.address, { path: path('serial', TOKEN) })
    expect((await upgrade(proxy.address, path('spice-html5', TOKEN))).status).toBe(403)
    using _channels = new DisposableStack()
    for (let i = 0; i < 10; i += 1) {
      _channels.use(await dial(proxy.address, { path: path('spice-html5', OTHER_TOKEN) }))
    }
    expect((await upgrade(proxy.address, path('serial', OTHER_TOKEN))).status).toBe(403)
  })

  it('without single_use, open a console again after a lost connection', async () => {
    await using proxy = await running()
    await used(proxy.address)
    await used(proxy.address)
  })

  it('set no cookie, and every page sends no referrer', async () => {
    await using folder = await pagesOf(['index', 'vnc', 'serial', 'spice_auto', 'webmks'])
    await using proxy = await running({
      consoles: ['novnc', 'serial', 'spice-html5', 'webmks'],
      pages: folder.path,
      toml: ADMIN,
    })
    const pages = ['/', '/vnc.html', '/serial.html', '/spice_auto.html', '/webmks.html']
    const prefixed = [
      ...['/novnc/vnc_lite.html', '/novnc/vnc_auto.html', '/serial/serial.html', '/serial/serial_auto.html'],
      '/webmks/webmks.html',
    ]
    for (const page of [...pages, ...prefixed, '/oriel.json', '/assets/vnc-1a2b3c4d.js']) {
      const answer = await get(proxy.address, `${page}?token=${TOKEN}`)
      expect(answer.status, page).toBe(200)
      expectPrivate(answer)
    }
    for (const target of ['/nothing', `/novnc/?token=${TOKEN}`]) {
      expect((await get(proxy.address, target)).head.toLowerCase()).not.toContain('set-cookie')
    }
    expect((await upgrade(proxy.address, '/?token=nobody')).head.toLowerCase()).not.toContain('set-cookie')
  })
})

describe('bearer URLs, of native SPICE', () => {
  it.each(['/nova', '/nova-console.vv'])('%s sets no cookie and sends no referrer', async (path) => {
    await using spice = await runningSpice()
    const answer = await get(spice.proxy.listeners[0]!.address, `${path}?token=${TOKEN}`)
    expect(answer.status).toBe(200)
    expect(answer.body).toContain('[virt-viewer]')
    expectPrivate(answer)
    const page = await get(spice.proxy.listeners[0]!.address, `${path}?token=${TOKEN}`, ['Accept: text/html'])
    expectPrivate(page)
    expectPrivate(await get(spice.proxy.listeners[0]!.address, `${path}?token=of-nobody`))
  })
})

const get = (address: string, target: string, headers: readonly string[] = []) =>
  raw(address, [`GET ${target} HTTP/1.1`, 'Host: h', 'Connection: close', ...headers])

function expectPrivate({ head }: RawAnswer): void {
  expect(head.toLowerCase()).not.toContain('set-cookie')
  expect(head).toContain('\r\nReferrer-Policy: no-referrer')
}

/** A folder of built pages. */
async function pagesOf(names: readonly string[]) {
  const folder = await temporaryFolder()
  await mkdir(join(folder.path, 'assets'))
  await writeFile(join(folder.path, 'assets', 'vnc-1a2b3c4d.js'), 'export {}')
  for (const name of names) await writeFile(join(folder.path, `${name}.html`), `<title>${name}</title>`)
  return folder
}

describe('CVE-2026-42510 shell', () => {
  it('no source file of the proxy starts a program', async () => {
    const folder = fileURLToPath(new URL('../../src/', import.meta.url))
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'))
    expect(files.length).toBeGreaterThan(40)
    for (const name of files) {
      const text = await readFile(join(folder, name), 'utf8')
      expect(text, name).not.toMatch(/child_process|worker_threads|\beval\(|new Function|node:vm/)
      if (name !== 'fleet/primary.ts') expect(text, name).not.toMatch(/\bfork\(/)
    }
  })

  it.each([
    { host: '127.0.0.1; touch /x', port: 5900 },
    { host: '$(id)', port: 5900 },
    { host: '-oProxyCommand=x', port: 5900 },
    { host: '127.0.0.1\n', port: 5900 },
    { host: '127.0.0.1', port: '5900; id' as unknown as number },
    { host: '127.0.0.1', port: 65_536 },
    { host: '/var/run/x.sock', port: 1 },
  ])('refuses the address $host:$port from an authority', async ({ host, port }) => {
    await using proxy = await running()
    proxy.nova.tokens.set(TOKEN, { instance_uuid: INSTANCE, host, port })
    expect([502, 503, 504]).toContain((await upgrade(proxy.address)).status)
    expect(proxy.hypervisor.connections).toBe(0)
  })
})
