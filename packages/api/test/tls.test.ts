/** The API over TLS: real handshakes, a replaced certificate, and clients that speak plain HTTP. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { wrongScheme } from '@oriel/contract'
import { ConfigError, createLogger, loadConfig, Secret, silentLogger } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { ApiConfig, apiHealthListener, refineApiConfig, startApi } from '../src/index.ts'

const pem = (name: string) => readFile(new URL(`auth/certificates/${name}.pem`, import.meta.url), 'utf8')
const [ca, own, other] = await Promise.all([pem('ca'), pem('server'), pem('other-host')])
/** Each file holds a certificate and its key. */
const table = (cert: string, key = cert, more = '') => `tls = { cert = '''${cert}''', key = '''${key}'''${more} }\n`
const least = 'listen = "127.0.0.1:0"\nauth.method = "none"\ntokens.store = "sqlite::memory:"\n'
const configOf = (toml: string) => loadConfig(ApiConfig, { toml: least + toml })

/** Gets a path with a client that trusts the CA alone. */
async function get(origin: string, path: string, options = {}) {
  const [response] = (await once(request(`${origin}${path}`, { ca, agent: false, ...options }).end(), 'response')) as [
    IncomingMessage,
  ]
  const { subject } = (response.socket as TLSSocket).getPeerCertificate()
  return { status: response.statusCode, subject: subject.CN, text: await text(response) }
}

/** Sends bytes without TLS, and returns what comes until the end. */
async function sendPlain(address: string, bytes: string): Promise<string> {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  socket.write(bytes)
  return await text(socket)
}

describe('an API with TLS', () => {
  it('serves https, and links to https', async () => {
    await using api = await startApi(configOf(table(own)), { log: silentLogger() })
    expect(api.origin).toBe(`https://${api.address}`)
    const { status, text } = await get(api.origin, '/v2.1')
    expect(status).toBe(200)
    expect(JSON.parse(text).version.links[0].href).toBe(`${api.origin}/v2.1/`)
  })

  it('is refused by a client that does not trust its CA', async () => {
    await using api = await startApi(configOf(table(own)), { log: silentLogger() })
    await expect(get(api.origin, '/', { ca: [] })).rejects.toThrow(/certificate/)
  })

  it('answers plain HTTP with 400 and the scheme to write, which its own clients recognise', async () => {
    await using api = await startApi(configOf(table(own)), { log: silentLogger() })
    const answer = await sendPlain(api.address, 'GET /v2.1 HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
    expect(answer).toMatch(/begin the address with https:\/\/\.\n$/)
    expect(wrongScheme(`http://${api.address}`, { status: 400, text: answer })).toBe(
      `${api.address} speaks https: write https://`,
    )
  })

  it('refuses versions of TLS below min_version', async () => {
    const toml = table(own, own, ', min_version = "TLSv1.3"')
    await using api = await startApi(configOf(toml), { log: silentLogger() })
    await expect(get(api.origin, '/', { maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/)
    expect((await get(api.origin, '/', { minVersion: 'TLSv1.3' })).status).toBe(200)
  })

  it('uses a replaced certificate for new connections, and keeps it when the next one is unusable', async () => {
    const lines: string[] = []
    const log = createLogger({ name: 'test', destination: { write: (line) => void lines.push(line) } })
    await using api = await startApi(configOf(table(own)), { log })
    const subject = async () => (await get(api.origin, '/', { rejectUnauthorized: false })).subject
    const before = await subject()
    api.reload(configOf(table(other)))
    const after = await subject()
    expect(after).not.toBe(before)
    api.reload(configOf(table(own, other)))
    expect(await subject()).toBe(after)
    const messages = lines.map((line) => JSON.parse(line).msg)
    expect(messages).toContain('certificate replaced')
    expect(messages).toContain('the new certificate is unusable; keeping the old one')
  })

  it('stops without waiting for a client that began no handshake', async () => {
    const api = await startApi(configOf(`limits.header_timeout_seconds = 3600\n${table(own)}`), { log: silentLogger() })
    const [host, port] = api.address.split(':')
    const silent = connect(Number(port), host)
    await once(silent, 'connect')
    // The server accepts connections in order, so it has the silent one as soon as it serves a later one.
    await get(api.origin, '/')
    const closed = once(silent, 'close')
    await api[Symbol.asyncDispose]()
    await closed
  })
})

describe('the listener for the proxy of the same process', () => {
  it('exists beside TLS only, and accepts only the token of the process', async () => {
    const internal = new Secret('of-the-process')
    await using api = await startApi(configOf(table(own)), { log: silentLogger(), internal })
    const ask = async (headers: Record<string, string>) =>
      (await fetch(`${api.internalOrigin}/v2.1/os-console-auth-tokens/unknown`, { headers })).status
    expect(api.internalOrigin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(await ask({ 'X-Auth-Token': 'of-the-process', 'OpenStack-API-Version': 'compute 2.99' })).toBe(404)
    expect(await ask({ 'X-Auth-Token': 'another' })).toBe(403)
    expect(await ask({})).toBe(403)
    await using plain = await startApi(configOf(''), { log: silentLogger(), internal })
    expect(plain.internalOrigin).toBe(plain.origin)
  })
})

describe('tls in api.toml', () => {
  function faults(toml: string): readonly string[] {
    const warnings: string[] = []
    try {
      const onWarning = ({ path, message }: { path: string; message: string }) => warnings.push(`${path}: ${message}`)
      loadConfig(ApiConfig, { toml: least + toml, refine: refineApiConfig, onWarning })
      return warnings
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return error.faults.map(({ path, message }) => `${path}: ${message}`)
    }
  }

  it('is a fault at tls.key if the key belongs to another certificate', () => {
    expect(faults(table(own, other))).toEqual([
      expect.stringMatching(/^tls\.key: belongs to another certificate, give the private key of "CN=/),
    ])
  })

  it('warns about a public_url that begins with http://', () => {
    expect(faults(`public_url = "http://api.example:8774"\n${table(own)}`)).toEqual([
      expect.stringMatching(/^public_url: "http:\/\/api\.example:8774" begins with http:\/\/.*; write https:\/\//),
    ])
    expect(faults(`public_url = "https://api.example:8774"\n${table(own)}`)).toEqual([])
    expect(faults('public_url = "https://api.example"\n')).toEqual([])
  })

  it('warns about a public_url that ends with the version', () => {
    expect(faults('public_url = "https://api.example/v2.1/"\n')).toEqual([
      expect.stringMatching(/^public_url: "https:\/\/api\.example\/v2\.1\/" ends with the version/),
    ])
    expect(faults('public_url = "https://api.example/compute"\n')).toEqual([])
  })

  it('needs an admin listener for --health, because the certificate need not be valid for loopback', () => {
    expect(apiHealthListener(configOf(table(own)))).toEqual({ path: 'admin.listen', address: undefined })
    expect(apiHealthListener(configOf(`admin.listen = "127.0.0.1:1"\n${table(own)}`)).address).toBe('127.0.0.1:1')
    expect(apiHealthListener(configOf(''))).toEqual({ path: 'listen', address: '127.0.0.1:0' })
  })
})
