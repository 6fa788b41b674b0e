/** A cloud for tests: a scripted Keystone and a Nova at one address, optionally over TLS. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { loadConfig, Secret } from '@oriel/runtime'
import { type NovaStub, startNovaStub, temporaryPki } from '@oriel/testkit'
import { createAuthority } from '../../src/authority/index.ts'
import { type Authority, proxyConfig, refineProxyConfig } from '../../src/index.ts'
import { capture, INSTANCE, TOKEN } from '../fixture.ts'

export const PASSWORD = 'service-password-of-the-test'
const CONSOLE = { instance_uuid: INSTANCE, host: '10.0.0.5', port: 5900 }

/** One endpoint of the compute service in Keystone's catalogue. */
export interface CatalogEntry {
  readonly interface: string
  readonly region_id: string
  readonly url: string
}

export interface Cloud extends AsyncDisposable {
  readonly origin: string
  readonly nova: NovaStub
  /** The compute endpoints in Keystone's catalogue. Tests may change them. */
  catalog: CatalogEntry[]
  /** The paths of requests to Nova, oldest first. */
  readonly asked: readonly string[]
  /** The number of sign-ins. Below `/refusing`, every credential is refused; below `/balancer`, a load balancer has no server. */
  readonly signIns: () => number
  /** Invalidates the tokens that Keystone has issued. */
  revoke(): void
  /** Does the same, and makes Keystone refuse the password from now on. */
  forget(): void
  /** PEM of the certificate's CA, with `tls`. */
  readonly ca: string
  readonly caFile: string
}

/** Starts a cloud that knows `TOKEN`. Answers below `/region-two` as well. */
export async function startCloud({ tls = false, names = ['localhost'] } = {}): Promise<Cloud> {
  await using opened = new AsyncDisposableStack()
  let given = 0
  let valid = ''
  let password: string | undefined = PASSWORD
  const nova = opened.use(await startNovaStub({ tokens: { [TOKEN]: CONSOLE }, adminToken: 'unused' }))
  const pki = tls ? opened.use(await temporaryPki({ names })) : undefined
  const pem = (name: string) => readFile(join(pki!.path, name), 'utf8')
  // The client may have disconnected meanwhile, and Nova may have closed.
  const handler: RequestListener = (request, response) => void answer(request, response).catch(() => response.destroy())
  const server = pki
    ? createSecureServer({ cert: await pem('server-cert.pem'), key: await pem('server-key.pem') }, handler)
    : createServer(handler)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  opened.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `${pki ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const cloud = {
    origin,
    nova,
    catalog: [] as CatalogEntry[],
    asked: [] as string[],
    signIns: () => given,
    revoke: () => {
      valid = ''
    },
    forget: () => {
      valid = ''
      password = undefined
    },
    ca: pki ? await pem('ca-cert.pem') : '',
    caFile: pki ? join(pki.path, 'ca-cert.pem') : '',
  }
  const close = opened.move()
  return Object.assign(cloud, { [Symbol.asyncDispose]: () => close.disposeAsync() })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url!.startsWith('/refusing/')) return void response.writeHead(401).end('{}')
    if (request.url!.startsWith('/balancer/'))
      return void response.writeHead(503, { 'Content-Type': 'text/html' }).end('<h1>503 Service Unavailable</h1>')
    if (request.url === '/v3/auth/tokens') return signIn(response, JSON.stringify(await json(request)))
    const path = request.url!.replace(/^\/region-two/, '')
    const token = request.headers['x-auth-token']
    const known = token !== undefined && token === valid ? 'unused' : 'unknown'
    const headers = { ...(request.headers as Record<string, string>), 'x-auth-token': known }
    cloud.asked.push(request.url!)
    const reply = await fetch(`http://127.0.0.1:${nova.port}${path}`, { headers })
    const kept = ['openstack-api-version', 'x-openstack-nova-api-version', 'content-type']
    for (const name of kept) if (reply.headers.has(name)) response.setHeader(name, reply.headers.get(name)!)
    response.writeHead(reply.status).end(await reply.text())
  }

  function signIn(response: ServerResponse, body: string): void {
    if (password === undefined || !body.includes(password)) return void response.writeHead(401).end('{}')
    given += 1
    valid = `keystone-token-${given}`
    const catalog = [{ type: 'compute', endpoints: cloud.catalog }]
    const token = { issued_at: '2026-01-01T00:00:00Z', expires_at: '2026-01-01T01:00:00Z', catalog }
    response.writeHead(201, { 'X-Subject-Token': valid }).end(JSON.stringify({ token }))
  }
}

/** The authority of a `proxy.toml` with these lines in `[authority]`. */
export function authorityOf(toml: string): Authority & { readonly log: ReturnType<typeof capture> } {
  const text = `
    [authority]
    ${toml}
    [[listen]]
    address = "127.0.0.1:0"
    consoles = ["novnc"]`
  const config = loadConfig(proxyConfig, { toml: text, refine: refineProxyConfig })
  const log = capture()
  return Object.assign(createAuthority(config, log.logger), { log })
}

export const signInAt = (origin: string) =>
  `auth = { method = "password", auth_url = "${origin}", username = "oriel", password = "${PASSWORD}", project_name = "service" }`

/** What `token` means. */
export const admit = (authority: Authority, token = TOKEN) =>
  authority.admit(new Secret(token), { address: '10.0.0.9' }, new AbortController().signal)
