import { once } from 'node:events'
import { mkdtempDisposable, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { createLogger, ListenError, loadConfig, maskTokens, Secret, sha256Hex, silentLogger } from '@oriel/runtime'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { startSweeper } from '../src/console-auth-tokens/sweeper.ts'
import { ApiConfig, createApi, openTokenStore, startApi } from '../src/index.ts'
import { listen } from '../src/listen.ts'
import { consolesPath, fakeSource, PROJECT, remoteConsole, SERVER_ID, testApi } from './support.ts'

/** It ends what hangs, and measures nothing. */
const PATIENT = { timeout: 15_000 }

const TOKEN = 'a-member-of-the-project'
const ADMIN = 'an-administrator-somewhere'
const digest = (token: string, roles: string) =>
  `[[auth.static.tokens]]\nsha256 = "${sha256Hex(token)}"\nuser_id = "u"\nproject_id = "${PROJECT}"\nroles = ${roles}\n`
const config = (toml = '') =>
  loadConfig(ApiConfig, {
    toml: `listen = "127.0.0.1:0"
      auth.method = "static"
      tokens.store = "sqlite::memory:"
      ${toml}
      ${digest(TOKEN, '["member"]')}
      ${digest(ADMIN, '["admin"]')}
      [[sources]]
      kind = "static"
      [[sources.servers]]
      id = "${SERVER_ID}"
      name = "web-1"
      project_id = "${PROJECT}"
      consoles.vnc = { host = "127.0.0.1", port = 5901 }`,
  })

/** Logs of the most verbose level, as text. */
function recordedLog() {
  const lines: string[] = []
  return {
    lines,
    log: createLogger({ name: 'test', level: 'trace', destination: { write: (line) => void lines.push(line) } }),
  }
}

const headers = { 'X-Auth-Token': TOKEN, 'OpenStack-API-Version': 'compute 2.6', 'Content-Type': 'application/json' }
const post = (origin: string, init: RequestInit = {}) =>
  fetch(`${origin}${consolesPath()}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(remoteConsole('vnc', 'novnc')),
    ...init,
  })

describe('a running API', () => {
  test('creates a console and returns its connect info over HTTP', async () => {
    await using api = await startApi(config(), { log: silentLogger() })
    const { remote_console: console } = (await (await post(api.origin)).json()) as { remote_console: { url: string } }
    const token = console.url.slice(-36)
    const answer = await fetch(`${api.origin}/v2.1/os-console-auth-tokens/${token}`, {
      headers: { 'X-Auth-Token': ADMIN, 'OpenStack-API-Version': 'compute latest' },
    })
    expect(await answer.json()).toEqual({
      console: { instance_uuid: SERVER_ID, host: '127.0.0.1', port: 5901, internal_access_path: null },
    })
  })

  test('logs its address once', async () => {
    const { lines, log } = recordedLog()
    await using api = await startApi(config(), { log })
    const said = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'listening')
    expect(said).toMatchObject([{ address: api.address }])
    expect(api.origin).toBe(`http://${api.address}`)
    expect(api.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
  })

  test('responds 503 and is unready after its database file is deleted, and logs that', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'oriel-start-'))
    const file = join(folder.path, 'o.db')
    const { lines, log } = recordedLog()
    await using api = await startApi(
      { ...config(), tokens: { ...config().tokens, store: new Secret(`sqlite:${file}`) } },
      { log },
    )
    expect((await post(api.origin)).status).toBe(200)
    expect((await fetch(`${api.origin}/readyz`)).status).toBe(200)
    for (const suffix of ['', '-wal', '-shm']) await rm(`${file}${suffix}`)
    expect((await fetch(`${api.origin}/readyz`)).status).toBe(503)
    expect((await post(api.origin)).status).toBe(503)
    const said = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'readiness check fails')
    expect(said).toMatchObject([
      { check: 'tokens', err: { message: expect.stringContaining('file of tokens.store was deleted or replaced') } },
    ])
  })

  test('reads a chunked body up to the limit', async () => {
    await using api = await startApi(config(), { log: silentLogger() })
    const chunked = (body: string) =>
      post(api.origin, { body: ReadableStream.from([Buffer.from(body)]), duplex: 'half' } as RequestInit)
    expect((await chunked(JSON.stringify(remoteConsole('vnc', 'novnc')))).status).toBe(200)
    const tooLarge = await chunked(' '.repeat(114_689))
    expect([tooLarge.status, Object.keys((await tooLarge.json()) as object)]).toEqual([413, ['overLimit']])
  })

  test('rejects with a remedy if its port is in use, and closes everything', async () => {
    await using api = await startApi(config(), { log: silentLogger() })
    const taken = { ...config(), listen: api.address }
    await expect(startApi(taken, { log: silentLogger() })).rejects.toThrow(ListenError)
  })
})

describe('a malformed request', () => {
  test.each([
    ['an empty Host', 'GET /v2.1 HTTP/1.1\r\nHost:\r\n\r\n', 400],
    ['a Host with slashes', 'GET /v2.1 HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
    ['a Host with a user', 'GET /v2.1 HTTP/1.1\r\nHost: a@b\r\n\r\n', 400],
    ['no Host', 'GET /v2.1 HTTP/1.1\r\n\r\n', 400],
    ['no Host for a probe', 'GET /healthz HTTP/1.1\r\n\r\n', 400],
    ['an empty Host in HTTP/1.0', 'GET /healthz HTTP/1.0\r\nHost:\r\n\r\n', 400],
    ['a Host with slashes in HTTP/1.0', 'GET /healthz HTTP/1.0\r\nHost: a/b\r\n\r\n', 400],
    ['a backslash in the path', 'GET /v2.1\\..\\x HTTP/1.1\r\nHost: h\r\n\r\n', 400],
    ['an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n', 400],
    ['an unknown method', 'FOO /v2.1/servers HTTP/1.1\r\nHost: h\r\n\r\n', 404],
    ['a negative length', 'POST /v2.1 HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n', 400],
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['headers without end', `GET /v2.1 HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(70_000)}`, 431],
    ['headers that go on after the answer', `GET /v2.1 HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(700_000)}`, 431],
  ])('%s', async (_, bytes, status) => {
    await using api = await startApi(config(), { log: silentLogger() })
    const answer = await raw(api.address, bytes)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  })

  test('is cut off if the client keeps sending after the refusal, whatever the request timeout', async () => {
    await using listener = await listen(async () => new Response(), limits(60_000))
    const { hostname, port } = new URL(`http://${listener.address}`)
    const client = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    const closed = new Promise((resolve) => client.on('error', () => {}).once('close', resolve))
    const answer = once(client, 'data')
    client.write('hello\r\n\r\n')
    expect(String(await answer)).toMatch(/^HTTP\/1.1 400 /)
    const more = setInterval(() => client.write('more'), 100)
    await closed
    clearInterval(more)
  })

  test('is not one of HTTP/1.0 without a Host, as load balancers send', async () => {
    await using api = await startApi(config(), { log: silentLogger() })
    const answer = await raw(api.address, 'GET /healthz HTTP/1.0\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 200 [\s\S]*"ok"/)
    expect(await raw(api.address, 'OPTIONS / HTTP/1.0\r\n\r\n')).toContain(`"http://${api.address}/v2.1/"`)
  })

  test.each([
    ['[2001:0db8::0005]:8774', 'http://[2001:0db8::0005]:8774/v2.1/'],
    ['compute.example:', 'http://compute.example/v2.1/'],
  ])('is not one with Host %s, whose link is %s', async (host, link) => {
    await using api = await startApi(config(), { log: silentLogger() })
    const answer = await raw(api.address, `GET /v2.1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer).toContain(`"href":"${link}"`)
  })

  test('does not remove the response to the request before it on the connection', async () => {
    await using api = await startApi(config(), { log: silentLogger() })
    const length = '{"remote_console": {'.length
    const fields = Object.entries(headers).map((field) => field.join(': '))
    const head = [
      `POST ${consolesPath()} HTTP/1.1`,
      'Host: h',
      'Connection: close',
      ...fields,
      `Content-Length: ${length}`,
    ]
    const answer = await raw(
      api.address,
      `${head.join('\r\n')}\r\n\r\n${JSON.stringify(remoteConsole('vnc', 'novnc'))}`,
    )
    expect(answer).toMatch(/^HTTP\/1.1 400 /)
    expect(answer).toContain('Malformed request body')
    expect(answer).toContain('compute 2.6')
  })

  test('is not one with dot segments in its path, which are not resolved', async () => {
    await using api = await startApi(config(), { log: silentLogger() })
    const get = `GET /v2.1/../healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Auth-Token: ${TOKEN}\r\n\r\n`
    expect(await raw(api.address, get)).toMatch(/^HTTP\/1.1 404 /)
  })

  test('is logged without an error if the client disconnects in the body', async () => {
    const { lines, log } = recordedLog()
    await using api = await startApi(config(), { log })
    const [host, port] = api.address.split(':')
    const half = request({
      host,
      port,
      path: consolesPath(),
      method: 'POST',
      headers: { ...headers, 'Content-Length': 100 },
    })
    half.on('error', () => {})
    half.write('{')
    await vi.waitFor(() => (half.socket?.bytesWritten ? undefined : Promise.reject(new Error('not sent'))), PATIENT)
    half.destroy()
    await vi.waitFor(() => expect(lines.join('')).toContain('"status":'), PATIENT)
    expect(lines.join('')).not.toContain('"level":"error"')
    expect((await fetch(`${api.origin}/healthz`)).status).toBe(200)
  })
})

describe('the shutdown', () => {
  test('finishes pending requests and accepts no new ones', async () => {
    const gate = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    const source = fakeSource(undefined, {
      async console() {
        asked.resolve()
        await gate.promise
        return { host: 'h', port: 1 }
      },
    })
    await using api = await testApi({ source })
    const listener = await listen(createApi(api.deps).fetch, limits(60_000))
    const origin = `http://${listener.address}`
    const answer = post(origin, { headers: { ...headers, 'X-Auth-Token': 'member' } })
    await asked.promise
    const closed = listener[Symbol.asyncDispose]()
    await expect(fetch(`${origin}/healthz`)).rejects.toThrow()
    gate.resolve()
    const { status, headers: answered } = await answer
    expect([status, answered.get('Connection')]).toEqual([200, 'close'])
    await closed
  })

  test('closes the connections of pending requests at the deadline', async () => {
    const asked = Promise.withResolvers<void>()
    const source = fakeSource(undefined, {
      console() {
        asked.resolve()
        return new Promise(() => {})
      },
    })
    await using api = await testApi({ source })
    const listener = await listen(createApi(api.deps).fetch, limits(10))
    const cutOff = expect(
      post(`http://${listener.address}`, { headers: { ...headers, 'X-Auth-Token': 'member' } }),
    ).rejects.toThrow()
    await asked.promise
    await listener[Symbol.asyncDispose]()
    await cutOff
  })

  test('fails readiness before it stops listening', async () => {
    await using api = await startApi(config(), { log: silentLogger() })
    expect((await fetch(`${api.origin}/readyz`)).status).toBe(200)
    api.setDraining()
    expect((await fetch(`${api.origin}/readyz`)).status).toBe(503)
  })
})

describe('CVE-2015-9543: tokens in logs', () => {
  test('logs no token in any flow at the most verbose level', async () => {
    const { lines, log } = recordedLog()
    await using api = await startApi(config(), { log })
    const { remote_console: console } = (await (await post(api.origin)).json()) as { remote_console: { url: string } }
    const token = console.url.slice(-36)
    const paths = [
      `os-console-auth-tokens/${token}`,
      `os-console-auth%2Dtokens/${token}`,
      `os-console-auth-tokens//${token}`,
      `x?token=${token}`,
    ]
    for (const path of paths) {
      await fetch(`${api.origin}/v2.1/${path}`, { headers: { 'X-Auth-Token': ADMIN, Referer: console.url } })
    }
    await post(api.origin, { headers: { ...headers, 'X-Auth-Token': `wrong-${TOKEN}` } })
    const written = lines.join('')
    for (const secret of [token, TOKEN, ADMIN]) expect(written).not.toContain(secret)
    expect(written).toContain('console created')
  })

  test('logs caller, method, path, status and duration of a request', async () => {
    const { lines, log } = recordedLog()
    await using api = await startApi(config(), { log })
    const answer = await post(api.origin)
    const written = lines.map((line) => JSON.parse(line))
    const requestId = answer.headers.get('X-OpenStack-Request-ID')
    expect(written).toContainEqual(
      expect.objectContaining({
        msg: 'request',
        requestId,
        method: 'POST',
        path: maskTokens(consolesPath()),
        status: 200,
        microversion: '2.6',
        userId: 'u',
        projectId: PROJECT,
        durationMs: expect.any(Number),
      }),
    )
    expect(written).toContainEqual(
      expect.objectContaining({ msg: 'console created', requestId, serverId: SERVER_ID, type: 'novnc', userId: 'u' }),
    )
  })

  test('logs a failure with its cause and the request id', async () => {
    const { lines, log } = recordedLog()
    const source = fakeSource(undefined, { console: async () => Promise.reject(new Error('no route to host')) })
    await using api = await testApi({ source, log })
    const answer = await api.call('POST', consolesPath(), { version: '2.6', body: remoteConsole('vnc', 'novnc') })
    const failure = lines.map((line) => JSON.parse(line)).find(({ level }) => level === 'error')
    expect(failure).toMatchObject({
      requestId: answer.headers.get('X-OpenStack-Request-ID'),
      err: { message: 'no route to host' },
    })
  })
})

describe('the sweeper', () => {
  afterEach(() => void vi.useRealTimers())

  test('sweeps at the start and at its interval, and continues after the store was unavailable', async () => {
    vi.useFakeTimers()
    await using store = await openTokenStore('sqlite::memory:')
    const sweep = vi.fn().mockResolvedValueOnce(1).mockRejectedValueOnce(new Error('away')).mockResolvedValue(0)
    {
      await using _sweeper = startSweeper({ ...store, sweep }, { intervalSeconds: 60, log: silentLogger() })
      expect(sweep).toHaveBeenCalledTimes(1)
      await vi.advanceTimersByTimeAsync(120_000)
      expect(sweep).toHaveBeenCalledTimes(3)
    }
    await vi.advanceTimersByTimeAsync(120_000)
    expect(sweep).toHaveBeenCalledTimes(3)
  })
})

const limits = (drainMs: number) => ({
  listen: '127.0.0.1:0',
  headerTimeoutMs: 60_000,
  requestTimeoutMs: 60_000,
  drainMs,
  log: silentLogger(),
})

async function raw(address: string, bytes: string): Promise<string> {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  socket.write(bytes.replace('\r\n\r\n', /Connection:/.test(bytes) ? '\r\n\r\n' : '\r\nConnection: close\r\n\r\n'))
  return await text(socket)
}
