/** Proxies from environment variables, for a `fetch` with a configured CA. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { trustingFetch } from '@oriel/sdk/node'
import { temporaryPki } from '@oriel/testkit'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'

const parts = new AsyncDisposableStack()
let cloud: string
let plainCloud: string
let ca: string
let proxy: string
/** The requests to the proxy. */
const asked: string[] = []

beforeAll(async () => {
  const pki = parts.use(await temporaryPki({ names: ['localhost'] }))
  const pem = (name: string) => readFile(join(pki.path, name), 'utf8')
  ca = await pem('ca-cert.pem')
  const tls = { cert: await pem('server-cert.pem'), key: await pem('server-key.pem') }
  cloud = `https://localhost:${await listening(createSecureServer(tls, (_, response) => void response.end('cloud')))}/`
  plainCloud = `http://localhost:${await listening(createServer((_, response) => void response.end('cloud')))}/`
  proxy = `http://127.0.0.1:${await listening(connectProxy())}`
})
afterAll(() => parts.disposeAsync())
afterEach(() => {
  vi.unstubAllEnvs()
  asked.length = 0
})

async function listening(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  parts.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A proxy that opens tunnels, and answers plain requests itself. */
function connectProxy(): Server {
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.end('proxy')
  })
  server.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`)
    const through = connect(Number(request.url!.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      through.pipe(socket).pipe(through)
    })
    for (const side of [socket, through]) side.on('error', () => through.destroy())
  })
  return server
}

const get = async (url: string) => (await trustingFetch({ ca })(url, {})).text()

it('the authority is called through HTTPS_PROXY by CONNECT, and its certificate is verified', async () => {
  vi.stubEnv('NODE_USE_ENV_PROXY', '1')
  vi.stubEnv('HTTPS_PROXY', proxy)
  expect(await get(cloud)).toBe('cloud')
  expect(asked).toEqual([`CONNECT ${new URL(cloud).host}`])
  await using other = await temporaryPki()
  const strange = await readFile(join(other.path, 'ca-cert.pem'), 'utf8')
  await expect(trustingFetch({ ca: strange })(cloud, {})).rejects.toThrow(/certificate/)
})

it('the authority is called through HTTP_PROXY for an http address', async () => {
  vi.stubEnv('NODE_USE_ENV_PROXY', '1')
  vi.stubEnv('HTTP_PROXY', proxy)
  expect(await get(plainCloud)).toBe('proxy')
  expect(asked).toEqual([`GET ${plainCloud}`])
})

it.each([
  ['NO_PROXY contains the host', { NODE_USE_ENV_PROXY: '1', NO_PROXY: 'elsewhere.example,localhost' }],
  ['Node’s own fetch would not use a proxy', {}],
])('the authority is called directly when %s', async (_, variables) => {
  vi.stubEnv('HTTPS_PROXY', proxy)
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
  expect(await get(cloud)).toBe('cloud')
  expect(asked).toEqual([])
})
