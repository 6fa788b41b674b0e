/** An intermediate CA without its root is a trust anchor, for every connection with configured CAs. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer as createWebServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { createServer, type Server } from 'node:tls'
import { loadConfig } from '@oriel/runtime'
import { temporaryPki } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authorityFetch } from '../../src/authority/trust.ts'
import { vncSettings } from '../../src/consoles/config.ts'
import { startTls } from '../../src/hypervisor/tls-leg.ts'
import { proxyConfig, refineProxyConfig } from '../../src/index.ts'
import { probe } from '../../src/spice/channel/hypervisor-leg.ts'

describe('an intermediate CA without its root', () => {
  const parts = new AsyncDisposableStack()
  const pem = { own: '', other: '' }
  let tls: { cert: Buffer; key: Buffer }

  beforeAll(async () => {
    const { path } = parts.use(await temporaryPki({ intermediate: true }))
    const other = parts.use(await temporaryPki({ intermediate: true }))
    pem.own = await readFile(join(path, 'intermediate-cert.pem'), 'utf8')
    pem.other = await readFile(join(other.path, 'intermediate-cert.pem'), 'utf8')
    const [cert, key] = await Promise.all(['cert', 'key'].map((name) => readFile(join(path, `server-${name}.pem`))))
    tls = { cert: cert!, key: key! }
  })
  afterAll(() => parts.disposeAsync())

  async function listening<S extends Server>(server: S) {
    server.on('tlsClientError', () => {}).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return {
      port,
      server,
      async [Symbol.asyncDispose]() {
        server.close()
      },
    }
  }

  const config = (toml: string) =>
    loadConfig(proxyConfig, {
      toml: `[authority]\nendpoint = "http://h"\n[[listen]]\naddress = "127.0.0.1:0"\nconsoles = ["novnc"]\n${toml}`,
      refine: refineProxyConfig,
    })

  async function vencryptLeg(ca: string) {
    const { hypervisor } = config(`[hypervisor.vnc]\nauth_schemes = ["vencrypt"]\nca = """${ca}"""`)
    await using it = await listening(createServer(tls, (socket) => void socket.on('error', () => {}).end()))
    const socket = connect(it.port, '127.0.0.1')
    const leg = await startTls(
      socket,
      { host: '127.0.0.1', ...vncSettings(hypervisor).tls! },
      AbortSignal.timeout(10_000),
    )
    leg[Symbol.dispose]()
  }

  /** The peer disconnects after the TLS handshake, so a leg with a trusted certificate fails in the link. */
  async function spiceLeg(ca: string) {
    const ended = Promise.withResolvers<void>()
    await using it = await listening(
      createServer(tls, (socket) => {
        socket.on('error', () => {}).end()
        ended.resolve()
      }),
    )
    const deadlines = { dialTimeoutMs: 10_000, timeoutMs: 10_000, signal: AbortSignal.timeout(20_000) }
    const error = await probe({ host: '127.0.0.1', tlsPort: it.port }, { ca, hosts: {} }, deadlines).catch(
      (cause) => cause,
    )
    if (/TLS with the hypervisor failed/.test(error.message)) throw error
    await ended.promise
  }

  async function authorityCall(ca: string) {
    await using it = await listening(createWebServer(tls, (_, response) => response.end('ok')))
    const answer = await authorityFetch(ca)(`https://127.0.0.1:${it.port}/`, { signal: AbortSignal.timeout(10_000) })
    expect(await answer.text()).toBe('ok')
    it.server.closeAllConnections()
  }

  it.each([
    ['hypervisor.vnc.ca', vencryptLeg, /unable to get|self-signed/],
    ['hypervisor.spice.ca', spiceLeg, /TLS with the hypervisor failed/],
    ['authority.cafile', authorityCall, /not from a CA in authority\.cafile/],
  ])('is trusted in %s, and another CA is not', async (_, connected, refusal) => {
    await expect(connected(pem.own)).resolves.toBeUndefined()
    await expect(connected(pem.other)).rejects.toThrow(refusal)
  })
})
