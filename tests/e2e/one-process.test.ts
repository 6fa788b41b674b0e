/** Runs api and proxy in one process, with one file and without a credential between them in a file. */
import { appendFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, staticToken, Unauthorized } from '@oriel/sdk'
import { freePort, type RunningProgram, scriptedServer, temporaryPki } from '@oriel/testkit'
import { stringify } from 'smol-toml'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { apiConfig, listening, MEMBER_TOKEN, startApp } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

describe('oriel with one config file', () => {
  const parts = new AsyncDisposableStack()
  const server_id = '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a11'
  let oriel: RunningProgram & { readonly folder: string }
  let endpoint: string

  beforeAll(async () => {
    const { host, port } = parts.use(await scriptedServer(serveRfb))
    const [apiPort, proxyPort] = [await freePort(), await freePort()]
    endpoint = `http://127.0.0.1:${apiPort}/v2.1`
    const servers = [{ id: server_id, name: 'one', consoles: { vnc: { host, port } } }]
    oriel = parts.use(
      await startApp('oriel', {
        api: apiConfig(apiPort, proxyPort, servers),
        proxy: {
          listen: [{ address: `127.0.0.1:${proxyPort}`, consoles: ['novnc'] }],
          admin: { listen: '127.0.0.1:0' },
        },
      }),
    )
    await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
  })
  afterAll(() => parts.disposeAsync())

  it('relays a console that a client created with a static token', async () => {
    const client = createClient({ endpoint, auth: staticToken(MEMBER_TOKEN) })
    const body = { remote_console: { protocol: 'vnc', type: 'novnc' } } as const
    const created = await client.at('2.6').createRemoteConsole({ server_id, body })
    const { host, searchParams } = new URL(created.remote_console.url)
    const socket = new WebSocket(`ws://${host}/${searchParams.get('path')}`)
    const viewer = await asViewer(socket)
    expect(await viewer.echo(Buffer.from('both in one'))).toEqual(Buffer.from('both in one'))
    socket.terminate()
  })

  it('continues to relay while another process locks the database', async () => {
    const client = createClient({ endpoint, auth: staticToken(MEMBER_TOKEN) })
    const { host, searchParams } = new URL((await client.createConsole(server_id, 'novnc')).url)
    const socket = new WebSocket(`ws://${host}/${searchParams.get('path')}`)
    const viewer = await asViewer(socket)
    using other = new DatabaseSync(join(oriel.folder, 'oriel.db'))
    other.exec('BEGIN IMMEDIATE')
    let isAnswered = false
    const created = client.createConsole(server_id, 'novnc').finally(() => {
      isAnswered = true
    })
    created.catch(() => {}) // awaited below
    // The API waits five seconds for the lock. If it blocked the relaying thread, no echo would arrive in that time.
    let echoes = 0
    while (!isAnswered && echoes < 20) {
      const tick = Buffer.from(`tick ${echoes}`)
      expect(await viewer.echo(tick)).toEqual(tick)
      await sleep(50)
      echoes += 1
    }
    other.exec('COMMIT')
    expect(echoes).toBe(20)
    expect((await created).url).toContain(host)
    socket.terminate()
  })

  it('creates its database readable only for its owner', async () => {
    for (const file of ['oriel.db', 'oriel.db-wal', 'oriel.db-shm']) {
      expect((await stat(join(oriel.folder, file))).mode & 0o777).toBe(0o600)
    }
  })

  it('refuses API requests without a token', async () => {
    await expect(createClient({ endpoint }).at('2.1').listServers({})).rejects.toBeInstanceOf(Unauthorized)
  })

  it('reloads its file at SIGHUP, keeps consoles open, and logs the keys that need a restart', async () => {
    const client = createClient({ endpoint, auth: staticToken(MEMBER_TOKEN) })
    const { url } = await client.createConsole(server_id, 'novnc')
    const { host, searchParams } = new URL(url)
    const socket = new WebSocket(`ws://${host}/${searchParams.get('path')}`)
    const viewer = await asViewer(socket)
    await appendFile(join(oriel.folder, 'oriel.toml'), '\n[proxy.sessions]\nmax_total = 7\n')
    process.kill(oriel.pid, 'SIGHUP')
    const { changed } = await oriel.waitForLog(({ msg }) => msg === 'configuration reloaded')
    expect(changed).toEqual(['proxy.sessions.max_total'])
    const { keys } = await oriel.waitForLog(({ msg }) => /restart to apply/.test(String(msg)))
    expect(keys).toEqual(changed)
    expect(await viewer.echo(Buffer.from('still here'))).toEqual(Buffer.from('still here'))
    socket.terminate()
  })

  it('logs the address of each listener', async () => {
    await listening(oriel)
    const places = oriel.records.filter(({ msg }) => msg === 'listening').map(({ part }) => part)
    expect(new Set(places)).toEqual(new Set(['api', 'proxy']))
  })
})

it('oriel refuses one listen address for api and proxy, and names both keys', async () => {
  const config = {
    api: apiConfig(6079, 6080, []),
    proxy: { listen: [{ address: '127.0.0.1:6080', consoles: ['novnc'] }], admin: { listen: '127.0.0.1:6079' } },
  }
  await using oriel = await startApp('oriel', config)
  expect(await oriel.exited).toEqual({ code: 2, signal: null })
  expect(oriel.stderr).toBe('proxy.admin.listen: 127.0.0.1:6079 is taken by api.listen, give each its own port\n')
})

it('oriel keeps the port that the system chose when it reloads at SIGHUP', async () => {
  await using pki = await temporaryPki()
  await using other = await temporaryPki()
  const pairOf = ({ path }: { path: string }) => ({
    cert_file: join(path, 'server-cert.pem'),
    key_file: join(path, 'server-key.pem'),
  })
  const config = {
    api: { ...apiConfig(0, 6080, [{ id: '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a11', name: 'one', consoles: {} }]) },
    proxy: { listen: [{ address: '127.0.0.1:0', consoles: ['novnc'], tls: pairOf(pki) }] },
  }
  await using oriel = await startApp('oriel', config)
  await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
  const listen = [{ ...config.proxy.listen[0], tls: pairOf(other) }]
  await writeFile(join(oriel.folder, 'oriel.toml'), stringify({ ...config, proxy: { listen } }))
  process.kill(oriel.pid, 'SIGHUP')
  await oriel.waitForLog(({ msg }) => msg === 'configuration reloaded')
  expect(oriel.records.filter(({ level }) => level === 'warn')).toEqual([])
  expect(oriel.records.map(({ msg }) => msg)).toContain('certificate replaced')
})
