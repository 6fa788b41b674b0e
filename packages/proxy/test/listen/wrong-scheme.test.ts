/** `http` instead of `https` and vice versa, in the addresses of an authority and its Keystone. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { join } from 'node:path'
import { ConfigError } from '@oriel/runtime'
import { temporaryPki } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authorityOf, type Cloud, signInAt, startCloud } from '../authority/cloud.ts'

const parts = new AsyncDisposableStack()
afterAll(() => parts.disposeAsync())

/** A fatal TLS alert, with which some servers answer plaintext. */
const ALERT = Buffer.from('15030100020246', 'hex')
const PAGE = '<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>'
const servers = {
  http: () => createServer((_, response) => void response.end('{}')),
  /** nginx, and HAProxy by its errorfile. */
  'https, with a page': () => createServer((_, response) => void response.writeHead(400).end(PAGE)),
  'https, with an alert': () => createTcpServer((socket) => void socket.once('data', () => socket.end(ALERT))),
} as const
type Kind = keyof typeof servers | 'https'
const hosts = {} as Record<Kind, string>
let cloud: Cloud

beforeAll(async () => {
  cloud = parts.use(await startCloud())
  const pki = parts.use(await temporaryPki({ names: ['localhost'] }))
  const pem = (name: string) => readFile(join(pki.path, name), 'utf8')
  const answer: RequestListener = (_, response) => void response.end('{}')
  const secure = createSecureServer({ cert: await pem('server-cert.pem'), key: await pem('server-key.pem') }, answer)
  const all: [Kind, Server][] = [['https', secure as unknown as Server]]
  for (const [kind, make] of Object.entries(servers)) all.push([kind as Kind, make() as Server])
  for (const [kind, server] of all) {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    parts.defer(() => void server.close())
    hosts[kind] = `127.0.0.1:${(server.address() as AddressInfo).port}`
  }
})

const MISTAKES: readonly [written: string, kind: Kind, says: string][] = [
  ['https', 'http', 'speaks http: write http://'],
  ['http', 'https', 'closed the connection without an answer; if it speaks https, write https://'],
  ['http', 'https, with a page', 'speaks https: write https://'],
  ['http', 'https, with an alert', 'does not answer in http; if it speaks https, write https://'],
]

const verify = async (toml: string) => {
  await using authority = authorityOf(toml)
  const error = await authority.verify!(new AbortController().signal).catch((cause) => cause)
  expect(error).toBeInstanceOf(ConfigError)
  return (error as ConfigError).faults
}

describe.each(MISTAKES)('%s:// for a server that speaks %s', (written, kind, says) => {
  const url = () => `${written}://${hosts[kind]}`
  const message = () => expect.stringContaining(`${hosts[kind]} ${says}`)

  it('is reported for authority.endpoint', async () => {
    const toml = `endpoint = "${url()}/v2.1"\n${signInAt(cloud.origin)}`
    expect(await verify(toml)).toMatchObject([{ path: 'authority.endpoint', message: message() }])
  })

  it('is reported for authority.endpoint with a cafile', async () => {
    await using other = await startCloud({ tls: true })
    const toml = `endpoint = "${url()}/v2.1"\n${signInAt(cloud.origin)}\ncafile = "${other.caFile}"`
    expect(await verify(toml)).toMatchObject([{ path: 'authority.endpoint', message: message() }])
  })

  it('is reported for authority.auth.auth_url', async () => {
    const toml = `endpoint = "${cloud.origin}/v2.1"\n${signInAt(url())}`
    expect(await verify(toml)).toMatchObject([{ path: 'authority.auth.auth_url', message: message() }])
  })
})
