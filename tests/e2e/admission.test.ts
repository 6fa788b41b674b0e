/** The proxy's refusals as a client sees them: a status and a sentence before 101, and one log line with the reason. */

import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { listenOn } from '@oriel/runtime'
import { freePort, type ScriptedServer, scriptedServer } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ClientOptions, WebSocket } from 'ws'
import { apiConfig, merge, type Pair, SERVICE_TOKEN, type ServerEntry, startApp, startPair } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

const body = { remote_console: { protocol: 'vnc', type: 'novnc' } } as const
const reachable = '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a11'
const unreachable = '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a12'

describe('api and proxy as two processes', () => {
  const parts = new AsyncDisposableStack()
  let hypervisor: ScriptedServer
  let servers: ServerEntry[]
  let oriel: Pair

  beforeAll(async () => {
    hypervisor = parts.use(await scriptedServer(serveRfb))
    const { host, port } = hypervisor
    servers = [
      { id: reachable, name: 'reachable', consoles: { vnc: { host, port } } },
      { id: unreachable, name: 'unreachable', consoles: { vnc: { host, port: await freePort() } } },
    ]
    oriel = parts.use(await startPair({ servers }))
  })
  afterAll(() => parts.disposeAsync())

  const mint = async (server_id: string, { client } = oriel) => {
    const created = await client.at('2.6').createRemoteConsole({ server_id, body })
    return new URL(created.remote_console.url).searchParams.get('path')!
  }
  const upgrade = (path: string, options: ClientOptions = {}, { proxyPort } = oriel) =>
    new WebSocket(`ws://127.0.0.1:${proxyPort}/${path}`, ['binary'], options)
  const refusal = async (socket: WebSocket) => {
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
    const fault = JSON.parse(Buffer.concat(await response.toArray()).toString())
    return { status: response.statusCode, message: Object.values<{ message: string }>(fault)[0]!.message }
  }
  const logged = (refused: string) => oriel.proxy.waitForLog((record) => record.refusal === refused)

  it('open a console with a fresh token', async () => {
    const socket = upgrade(await mint(reachable))
    const viewer = await asViewer(socket)
    expect(await viewer.echo(Buffer.from('hello'))).toEqual(Buffer.from('hello'))
    socket.terminate()
  })

  it('refuse a missing token', async () => {
    expect(await refusal(upgrade(''))).toMatchObject({ status: 401, message: expect.stringContaining('token') })
    await logged('missing_token')
  })

  it('refuse an unknown token', async () => {
    expect(await refusal(upgrade('?token=8d3c1e8e-1111-4222-8333-123456789abc'))).toMatchObject({ status: 403 })
    await logged('unknown_token')
  })

  it('refuse an expired token', async () => {
    // A separate pair, because the tokens of `oriel` outlive every test even on a slow machine.
    await using brief = await startPair({ servers, api: { tokens: { ttl_seconds: 1 } } })
    const path = await mint(reachable, brief)
    await expired(brief, path)
    const refused = await refusal(upgrade(path, {}, brief))
    expect(refused).toMatchObject({ status: 403, message: expect.stringContaining('not valid') })
  })

  it('refuse a foreign Origin, and accept the own one', async () => {
    const path = await mint(reachable)
    expect(await refusal(upgrade(path, { origin: 'https://evil.example' }))).toMatchObject({ status: 403 })
    await logged('foreign_origin')
    const socket = upgrade(path, { origin: `http://127.0.0.1:${oriel.proxyPort}` })
    await asViewer(socket)
    socket.terminate()
  })

  it('report an unreachable console', async () => {
    expect(await refusal(upgrade(await mint(unreachable)))).toMatchObject({ status: 502 })
    const record = await logged('console_unreachable')
    expect(JSON.stringify(record)).toContain('ECONNREFUSED')
  })

  it('keep consoles open when they reload their configuration at SIGHUP', async () => {
    const socket = upgrade(await mint(reachable))
    const viewer = await asViewer(socket)
    for (const program of [oriel.api, oriel.proxy]) {
      process.kill(program.pid, 'SIGHUP')
      await program.waitForLog(({ why, msg }) => why === 'SIGHUP' && !/^reading/.test(String(msg)))
    }
    expect(await viewer.echo(Buffer.from('still here'))).toEqual(Buffer.from('still here'))
    await mint(reachable)
    socket.terminate()
  })

  it('CVE-2015-9543 tokens in logs: write no token to any log', async () => {
    const path = await mint(reachable)
    const socket = upgrade(path)
    await asViewer(socket)
    socket.terminate()
    const token = new URLSearchParams(path.slice(1)).get('token')!
    const output = [oriel.api, oriel.proxy].flatMap(({ records, otherLines, stderr }) => [
      ...records,
      otherLines,
      stderr,
    ])
    expect(output.length).toBeGreaterThan(4)
    expect(JSON.stringify(output)).not.toContain(token)
  })
})

describe('a failed start', () => {
  const servers = [{ id: reachable, name: 'reachable', consoles: { vnc: { host: '127.0.0.1', port: 1 } } }]

  it.each([
    ['in a folder that is missing', 'sqlite:missing/oriel.db', /missing\/oriel\.db \(ENOENT: [^)]*\)/],
    ['that is a folder', 'sqlite:.', /\. \(EISDIR: [^)]*\)/],
  ])('exits with 2, and logs and prints the remedy for a database file %s', async (_, store, reason) => {
    const config = merge(apiConfig(0, 6080, servers), { tokens: { store } })
    await using api = await startApp('api', config)
    expect(await api.exited).toEqual({ code: 2, signal: null })
    const [record, ...others] = api.records
    expect(others).toEqual([])
    expect(record).toMatchObject({ level: 'fatal', name: 'oriel-api' })
    const [fault] = record!.faults as string[]
    expect(record!.msg).toBe(`cannot start: ${fault}`)
    expect(fault).toMatch(/^tokens\.store: cannot use .* \(.*\), give a file that this user may write/)
    expect(fault).toMatch(reason)
    expect(api.stderr).toBe(`${fault}\n`)
  })

  it.each([
    [
      'a port in use',
      async () => busyPort(),
      /^listen: .*another program uses this port; stop it, or set ORIEL_LISTEN=127\.0\.0\.1:0 for a free port$/,
    ],
    [
      'an unknown host',
      async () => ({ listen: 'nowhere.invalid:0' }),
      /this host name is not known|the name server did not answer/,
    ],
  ])('exits with 1, and logs and prints the remedy for %s', async (_, listenKeys, remedy) => {
    await using parts = new AsyncDisposableStack()
    const { listen, server } = { server: undefined, ...(await listenKeys()) }
    if (server) parts.use(server)
    await using api = await startApp('api', { ...apiConfig(0, 6080, servers), listen })
    expect(await api.exited).toEqual({ code: 1, signal: null })
    expect(api.records).toHaveLength(1)
    expect(api.records[0]).toMatchObject({ level: 'fatal', err: { address: listen } })
    expect(api.records[0]!.msg).toMatch(`cannot listen on ${listen}: `)
    expect(api.records[0]!.msg).toMatch(remedy)
    expect(api.stderr).toBe(`oriel-api: ${api.records[0]!.msg}\n`)
  })
})

async function busyPort() {
  const server = createServer()
  return { listen: await listenOn(server, { host: '127.0.0.1', port: 0 }), server }
}

/** Resolves when the API no longer accepts the token, so that the test does not depend on its own clock. */
async function expired(oriel: Pair, path: string): Promise<void> {
  const token = new URLSearchParams(path.slice(1)).get('token')!
  for (;;) {
    if ((await tokenStatus(oriel, token)) === 404) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function tokenStatus({ apiPort }: Pair, token: string): Promise<number | undefined> {
  const headers = { 'X-Auth-Token': SERVICE_TOKEN, 'OpenStack-API-Version': 'compute 2.31' }
  const request = get({ host: '127.0.0.1', port: apiPort, path: `/v2.1/os-console-auth-tokens/${token}`, headers })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}
