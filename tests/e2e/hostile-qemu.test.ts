/** Runs the built programs with QEMU processes that a guest has taken over: programs and other guests must survive. */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createClient, staticToken } from '@oriel/sdk'
import { freePort, scriptedServer, temporaryFolder } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { apiConfig, listening, MEMBER_TOKEN, PROJECT, startApp } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

const SERVER = '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a11'
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

/** Hostile replies to the first command. `ID` is replaced by the command's id. */
const ANSWERS = [
  '{"id":ID,"error":{"class":{"toString":null},"desc":"x"}}',
  '{"id":ID,"error":{"class":"GenericError","desc":{"toString":null}}}',
  `{"id":ID,"error":{"class":"GenericError","desc":${nested(5000)}}}`,
  `{"id":ID,"error":{"class":${nested(100_000)},"desc":"x"}}`,
  '{"id":ID,"error":{"__proto__":{"class":null}}}',
  '{"id":ID,"error":null}',
  '{"QMP":',
  '[]',
  'nonsense',
]

/**
 * Opens a QMP socket that replies to the first command with `answer`. `ended` resolves when the program disconnects.
 */
async function hostileQemu(path: string, answer: string) {
  const ended = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    socket.on('error', () => {}).on('close', () => ended.resolve())
    socket.write('{"QMP": {"version": {}, "capabilities": []}}\r\n')
    const lines = createInterface({ input: socket }).on('error', () => {})
    lines.on('line', (line) => socket.write(`${answer.replace('ID', String(JSON.parse(line).id))}\r\n`))
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return { ended: ended.promise, [Symbol.asyncDispose]: async () => void server.close() }
}

/** Opens a socket for every hostile reply in the watched `folder`. The program must disconnect from each. */
async function meetAll(folder: string): Promise<void> {
  await using parts = new AsyncDisposableStack()
  const all = []
  for (const [index, answer] of ANSWERS.entries()) {
    all.push(parts.use(await hostileQemu(join(folder, `${index}.qmp`), answer)))
  }
  await Promise.all(all.map(({ ended }) => ended))
}

const source = (folder: string) => ({
  kind: 'qemu',
  qmp: join(folder, '*.qmp'),
  host: '127.0.0.1',
  project_id: PROJECT,
  answer_timeout_ms: 5000,
})

async function expectAlive(origin: string): Promise<void> {
  for (const path of ['/healthz', '/readyz']) expect((await fetch(origin + path)).status).toBe(200)
  const client = createClient({ endpoint: `${origin}/v2.1`, auth: staticToken(MEMBER_TOKEN) })
  const { servers } = await client.at('2.1').listServers()
  expect(servers.map(({ id }) => id)).toEqual([SERVER])
}

describe('hostile QEMU processes', () => {
  it('leave oriel-api alive, ready and listing its other servers', async () => {
    await using folder = await temporaryFolder()
    const config = apiConfig(0, 6080, [{ id: SERVER, name: 'one', consoles: {} }])
    const sources = [...(config.sources as object[]), source(folder.path)]
    await using api = await startApp('api', { ...config, sources })
    const { address } = await listening(api)
    await meetAll(folder.path)
    await expectAlive(`http://${address}`)
  })

  it('leave oriel alive, and a console of another server open', async () => {
    await using folder = await temporaryFolder()
    await using hypervisor = await scriptedServer(serveRfb)
    const [apiPort, proxyPort] = [await freePort(), await freePort()]
    const vnc = { host: hypervisor.host, port: hypervisor.port }
    const api = apiConfig(apiPort, proxyPort, [{ id: SERVER, name: 'one', consoles: { vnc } }])
    await using oriel = await startApp('oriel', {
      api: { ...api, sources: [...(api.sources as object[]), source(folder.path)] },
      proxy: {
        listen: [{ address: `127.0.0.1:${proxyPort}`, consoles: ['novnc'] }],
        admin: { listen: '127.0.0.1:0' },
      },
    })
    await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
    const endpoint = `http://127.0.0.1:${apiPort}/v2.1`
    const { url } = await createClient({ endpoint, auth: staticToken(MEMBER_TOKEN) }).createConsole(SERVER, 'novnc')
    const { host, searchParams } = new URL(url)
    const socket = new WebSocket(`ws://${host}/${searchParams.get('path')}`)
    const viewer = await asViewer(socket)
    await meetAll(folder.path)
    expect(await viewer.echo(Buffer.from('still here'))).toEqual(Buffer.from('still here'))
    await expectAlive(`http://127.0.0.1:${apiPort}`)
    socket.terminate()
  })
})
