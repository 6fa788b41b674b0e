import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import * as prom from 'prom-client'
import { describe, expect, test } from 'vitest'
import { type AdminOptions, createAdminListener, ListenError, listenOn, readiness, silentLogger } from '../src/index.ts'

async function admin(options: Partial<AdminOptions> = {}) {
  const listener = await createAdminListener({ listen: '127.0.0.1:0', checks: [], log: silentLogger(), ...options })
  const ask = (path: string, init?: RequestInit) => fetch(`http://${listener.address}${path}`, init)
  return { listener, ask, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() }
}

const failing = { name: 'store', check: () => Promise.reject(new Error('connect ECONNREFUSED 10.1.2.3:5432')) }
const fine = { name: 'authority', check: () => {} }

test('/healthz answers as soon as the process lives', async () => {
  await using it = await admin({ checks: [failing] })
  const response = await it.ask('/healthz')
  expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }])
  expect(response.headers.get('content-type')).toBe('application/json')
})

describe('/readyz', () => {
  test('responds 200 when every check passes', async () => {
    await using it = await admin({ checks: [fine] })
    const response = await it.ask('/readyz?verbose')
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok', checks: { authority: 'ok' } }])
  })

  test('responds 503 with the names of failing checks, without internals', async () => {
    const throws = {
      name: 'sync',
      check: () => {
        throw undefined
      },
    }
    await using it = await admin({ checks: [fine, failing, throws] })
    const response = await it.ask('/readyz')
    const checks = { authority: 'ok', store: 'failing', sync: 'failing' }
    expect([response.status, await response.json()]).toEqual([503, { status: 'unready', checks }])
  })

  test('responds 503 when a check hangs, and does not start it again while it hangs', async () => {
    let calls = 0
    const signals: (AbortSignal | undefined)[] = []
    const hangs = {
      name: 'cell',
      check: (signal?: AbortSignal) => {
        calls++
        signals.push(signal)
        return new Promise<void>(() => {})
      },
    }
    await using it = await admin({ checks: [hangs], checkDeadlineMs: 20 })
    for (const _ of [1, 2, 3]) {
      const response = await it.ask('/readyz')
      expect([response.status, await response.json()]).toEqual([
        503,
        { status: 'unready', checks: { cell: 'timed out' } },
      ])
    }
    expect(calls).toBe(1)
    expect(signals[0]?.aborted).toBe(true)
  })

  test('responds 503 while draining', async () => {
    await using it = await admin({ checks: [fine] })
    it.listener.setDraining()
    const response = await it.ask('/readyz')
    expect([response.status, await response.json()]).toEqual([503, { status: 'draining' }])
    expect((await it.ask('/healthz')).status).toBe(200)
  })
})

test('/metrics has the process, the event loop and the metrics of the registry', async () => {
  const registry = new prom.Registry()
  new prom.Counter({ name: 'oriel_sessions_total', help: 'Sessions.', registers: [registry] }).inc(3)
  await using it = await admin({ registry })
  await using again = await admin({ registry })
  const response = await it.ask('/metrics')
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  const text = await response.text()
  for (const name of ['process_cpu_seconds_total', 'nodejs_eventloop_lag_p99_seconds', 'oriel_sessions_total 3']) {
    expect(text).toContain(name)
  }
  expect((await again.ask('/metrics')).status).toBe(200)
})

describe('other requests', () => {
  test('HEAD has the headers and no body', async () => {
    await using it = await admin()
    const response = await it.ask('/healthz', { method: 'HEAD' })
    expect([response.status, response.headers.get('content-length'), await response.text()]).toEqual([200, '15', ''])
  })

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is 405', async (method) => {
    await using it = await admin({ routes: () => {} })
    const response = await it.ask('/healthz', { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  test.each([
    '/',
    '/nothing',
    '//healthz',
    '/healthz/',
    '/%68ealthz',
    '/constructor',
    '/__proto__',
    '/../healthz%2f',
    '//evil.example/..',
  ])('%s is 404 and never a redirect', async (path) => {
    await using it = await admin()
    const [status, location] = await raw(it.listener.address, path)
    expect([status, location]).toEqual([404, undefined])
  })

  test.each([
    ['HTTP/1.0 without a Host', 'GET /healthz HTTP/1.0\r\n\r\n'],
    ['a Host in capitals', 'GET /healthz HTTP/1.1\r\nHost: [FD00:0::1]:6079\r\nConnection: close\r\n\r\n'],
    ['a Host with an empty port', 'GET /healthz HTTP/1.1\r\nHost: oriel:\r\nConnection: close\r\n\r\n'],
    ['a malformed Host', 'GET /healthz HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n'],
  ])('a probe with %s is answered', async (_, head) => {
    await using it = await admin()
    const [host, port] = it.listener.address.split(':')
    const socket = connect(Number(port), host)
    socket.write(head)
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n\{"status":"ok"\}$/)
  })

  test('extra routes answer what is not the listener’s own', async () => {
    await using it = await admin({
      routes: (app) => app.delete('/sessions', (c) => c.body(null, 204)),
    })
    const { status, headers } = await it.ask('/sessions', { method: 'DELETE' })
    expect([status, headers.get('content-length'), headers.get('cache-control')]).toEqual([204, null, 'no-store'])
    expect((await it.ask('/other')).status).toBe(404)
  })

  test('an extra route that throws is a 500 without the reason', async () => {
    await using it = await admin({
      routes: (app) =>
        app.get('/sessions', () => {
          throw new Error('internal detail')
        }),
    })
    const response = await it.ask('/sessions')
    expect([response.status, await response.json()]).toEqual([500, { error: 'internal error' }])
  })
})

test('closing ends idle connections and frees the port', async () => {
  const it = await admin()
  const [host, port] = it.listener.address.split(':')
  const socket = connect(Number(port), host)
  await once(socket, 'connect')
  await (await it.ask('/healthz')).text()
  const closed = once(socket, 'close')
  await it.listener[Symbol.asyncDispose]()
  await it.listener[Symbol.asyncDispose]()
  await closed
  await expect(it.ask('/healthz')).rejects.toThrow()
})

describe('listenOn', () => {
  test('returns the bound address', async () => {
    await using server = createServer()
    const address = await listenOn(server, { host: '127.0.0.1', port: 0 })
    expect(address).toBe(`127.0.0.1:${(server.address() as AddressInfo).port}`)
    expect(server.listenerCount('error')).toBe(0)
  })

  test('names address and remedy when the port is taken', async () => {
    await using first = createServer()
    await using second = createServer()
    const address = await listenOn(first, { host: '127.0.0.1', port: 0 })
    const { port } = first.address() as AddressInfo
    const failure = await listenOn(second, { host: '127.0.0.1', port }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ListenError)
    expect(failure).toMatchObject({ address, code: 'EADDRINUSE' })
    expect((failure as Error).message).toBe(
      `cannot listen on ${address}: another program uses this port; stop it, or configure another port (0 picks a free one)`,
    )
  })

  test('names an address that is not this machine’s', async () => {
    await using server = createServer()
    await expect(listenOn(server, { host: '192.0.2.1', port: 0 })).rejects.toThrow(
      /192\.0\.2\.1:0: no network interface/,
    )
  })

  test('names a port that does not exist', async () => {
    await using server = createServer()
    await expect(listenOn(server, { host: '127.0.0.1', port: 70000 })).rejects.toThrow(
      /127\.0\.0\.1:70000: the port is not valid/,
    )
  })
})

test('readiness() runs checks without a listener', async () => {
  expect(await readiness([fine])()).toEqual({ ready: true, checks: { authority: 'ok' } })
  expect(await readiness([])()).toEqual({ ready: true, checks: {} })
})

test('readiness() passes again when its check recovers', async () => {
  let well = false
  const ask = readiness([
    {
      name: 'flaky',
      check: () => {
        if (!well) throw new Error('ill')
      },
    },
  ])
  expect((await ask()).ready).toBe(false)
  well = true
  expect((await ask()).ready).toBe(true)
})

/** `fetch` would clean the path up. */
async function raw(address: string, path: string): Promise<[number | undefined, string | undefined]> {
  const [host, port] = address.split(':')
  const sent = request({ host, port, path }).end()
  const [response] = await once(sent, 'response')
  response.resume()
  return [response.statusCode, response.headers.location]
}
