/** `http` and `https` mixed up, in the address of an identity service. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { loadConfig } from '@oriel/runtime'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkApiOnline } from '../src/check-online.ts'
import { ApiConfig } from '../src/config.ts'

/** A fatal TLS alert, with which some servers answer plaintext. */
const ALERT = Buffer.from('15030100020246', 'hex')
const PAGE = '<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>'
const servers = {
  http: () => createServer((_, response) => void response.end('{}')),
  /** nginx. */
  'https, with a page': () => createServer((_, response) => void response.writeHead(400).end(PAGE)),
  'https, with an alert': () => createTcpServer((socket) => void socket.once('data', () => socket.end(ALERT))),
  'https, without a word': () => createTcpServer((socket) => void socket.once('data', () => socket.end())),
} as const
type Kind = keyof typeof servers
const hosts = {} as Record<Kind, string>
const parts = new AsyncDisposableStack()
afterAll(() => parts.disposeAsync())

beforeAll(async () => {
  for (const [kind, make] of Object.entries(servers)) {
    const server = make() as Server
    await once(server.listen(0, '127.0.0.1'), 'listening')
    parts.defer(() => void server.close())
    hosts[kind as Kind] = `127.0.0.1:${(server.address() as AddressInfo).port}`
  }
})

const MISTAKES: readonly [written: string, kind: Kind, says: string][] = [
  ['https', 'http', 'speaks http: write http://'],
  ['http', 'https, with a page', 'speaks https: write https://'],
  ['http', 'https, with an alert', 'does not answer in http; if it speaks https, write https://'],
  ['http', 'https, without a word', 'closed the connection without an answer; if it speaks https, write https://'],
]

describe.each(MISTAKES)('%s:// for a server that speaks %s', (written, kind, says) => {
  const url = () => `${written}://${hosts[kind]}`
  const message = () => expect.stringContaining(`${hosts[kind]} ${says}`)

  it('is reported for auth.keystone.auth_url of the API', async () => {
    const toml = `tokens.store = "sqlite::memory:"
      [auth]
      method = "keystone"
      keystone = { auth_url = "${url()}/v3", username = "u", password = "p", project_name = "s" }`
    const config = loadConfig(ApiConfig, { toml })
    const faults = await checkApiOnline(config, new AbortController().signal)
    expect(faults).toMatchObject([{ path: 'auth.keystone.auth_url', message: message() }])
  })

  it('is reported for the keys of an issuer of JWTs', async () => {
    const toml = `tokens.store = "sqlite::memory:"
      [auth]
      method = "jwt"
      jwt = { issuer = "${url()}", audience = "oriel" }`
    const config = loadConfig(ApiConfig, { toml })
    const faults = await checkApiOnline(config, new AbortController().signal)
    expect(faults).toMatchObject([{ path: 'auth.jwt.issuer', message: message() }])
  })
})
