/** The proxy with real QEMU guests: TLS to the hypervisor, and the check of the guest's identity. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import {
  freePort,
  type NovaServer,
  type QemuGuest,
  type QemuTls,
  type RunningProgram,
  requires,
  serverCertificate,
  startNovaStub,
  startQemu,
  type TemporaryPkiOptions,
  temporaryPki,
  vencryptServer,
} from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { listening, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { canvasOf, untilShows } from './parts/page.ts'
import { settled } from './parts/pictures.ts'
import { startDisplay } from './parts/spice.ts'

const INSTANCE = '8a1fd3c2-4d0e-4b52-9d3a-0a6b1f1f7c01'
const NAME = 'instance-0000002a'
const TOKEN = randomUUID()
const SECURITY_FAILED = 'The machine and the console proxy could not agree on security.'
const { skip, reason } = requires('qemu')
const browser = requires('qemu', 'chromium')

describe.skipIf(skip)(`a proxy with VeNCrypt to a real QEMU guest${reason}`, () => {
  it.skipIf(browser.skip)(`shows the guest’s pixels in Chromium${browser.reason}`, async () => {
    await using pki = await temporaryPki()
    await using guest = await startGuest({ tls: { folder: pki.path, verifyPeer: true } })
    await using world = await startWorld({ guest, vnc: { ...vencrypt(pki.path), ...clientCertificate(pki.path) } })
    await using chromium = await startChromium()
    const page = await chromium.newPage()
    await page.goto(`http://127.0.0.1:${world.port}/vnc_lite.html?path=${encodeURIComponent(`?token=${TOKEN}`)}`)
    await settled(guest)
    await canvasOf(page).waitFor()
    await untilShows(page, guest)
    expect((await viewers(guest))[0]).toMatchObject({ x509_dname: expect.stringContaining('testkit client') })
  })

  it('uses the first of the operator’s security types that the hypervisor offers', async () => {
    await using pki = await temporaryPki()
    await using secured = await startGuest({ tls: { folder: pki.path, verifyPeer: false } })
    await using plain = await startGuest({})
    const vnc = { ...vencrypt(pki.path), auth_schemes: ['vencrypt', 'none'] }
    for (const guest of [secured, plain]) {
      await using world = await startWorld({ guest, vnc })
      using viewer = await world.open()
      expect(await viewer.desktopName()).toBe(`QEMU (${NAME})`)
    }
  })

  it('refuses a hypervisor without TLS if only VeNCrypt is allowed', async () => {
    await using pki = await temporaryPki()
    await using guest = await startGuest({})
    await using world = await startWorld({ guest, vnc: vencrypt(pki.path) })
    await world.refusedFor('the hypervisor offers None (1); configured are VeNCrypt (19)')
  })

  it('refuses a hypervisor with TLS if only None is allowed', async () => {
    await using pki = await temporaryPki()
    await using guest = await startGuest({ tls: { folder: pki.path, verifyPeer: false } })
    await using world = await startWorld({ guest, vnc: { auth_schemes: ['none'] } })
    await world.refusedFor('the hypervisor offers VeNCrypt (19); configured are None (1)')
  })

  it('refuses a certificate of another CA', async () => {
    await using pki = await temporaryPki()
    await using other = await temporaryPki()
    await using guest = await startGuest({ tls: { folder: pki.path, verifyPeer: false } })
    await using world = await startWorld({ guest, vnc: vencrypt(other.path) })
    await world.refusedFor("the hypervisor's certificate was not issued by a CA in hypervisor.vnc.ca")
  })

  it('refuses an expired certificate', async () => {
    await using pki = await temporaryPki({ expired: true })
    await using guest = await startGuest({ tls: { folder: pki.path, verifyPeer: false, sanityCheck: false } })
    await using world = await startWorld({ guest, vnc: vencrypt(pki.path) })
    await world.refusedFor("the hypervisor's certificate has expired")
  })

  it('logs that the hypervisor may require a client certificate if none is configured', async () => {
    await using pki = await temporaryPki()
    await using guest = await startGuest({ tls: { folder: pki.path, verifyPeer: true } })
    await using world = await startWorld({ guest, vnc: vencrypt(pki.path) })
    await world.refusedFor('if it requires a client certificate, set hypervisor.vnc.cert and hypervisor.vnc.key')
  })

  it('logs that the hypervisor may not trust the configured client certificate', async () => {
    await using pki = await temporaryPki()
    await using other = await temporaryPki()
    await using guest = await startGuest({ tls: { folder: pki.path, verifyPeer: true } })
    await using world = await startWorld({ guest, vnc: { ...vencrypt(pki.path), ...clientCertificate(other.path) } })
    await world.refusedFor('check that it trusts the CA of hypervisor.vnc.cert')
  })

  describe('VeNCrypt host name', () => {
    const elsewhere: TemporaryPkiOptions = { addresses: ['192.0.2.7'], names: ['compute-7.example'] }

    it('refuses a certificate for another host', async () => {
      await using pki = await temporaryPki(elsewhere)
      await using guest = await startGuest({ tls: { folder: pki.path, verifyPeer: false } })
      await using world = await startWorld({ guest, vnc: vencrypt(pki.path) })
      await world.refusedFor("IP: 127.0.0.1 is not in the cert's list: 192.0.2.7")
    })

    it.each([
      ['the name', { name: 'compute-7.example' }],
      ['the subject', { subject: 'CN=testkit server' }],
    ])('accepts a certificate for another host if the configuration has %s for that address', async (_, host) => {
      await using pki = await temporaryPki(elsewhere)
      await using guest = await startGuest({ tls: { folder: pki.path, verifyPeer: false } })
      await using world = await startWorld({ guest, vnc: vencrypt(pki.path), hosts: { '127.0.0.1': host } })
      using viewer = await world.open()
      expect(await viewer.desktopName()).toBe(`QEMU (${NAME})`)
    })

    it('refuses a certificate that does not contain the configured name', async () => {
      await using pki = await temporaryPki()
      await using guest = await startGuest({ tls: { folder: pki.path, verifyPeer: false } })
      const hosts = { '127.0.0.1': { name: 'compute-8.example' } }
      await using world = await startWorld({ guest, vnc: vencrypt(pki.path), hosts })
      await world.refusedFor('compute-8.example')
    })
  })
})

describe('verification off', () => {
  it('the proxy refuses a man in the middle between it and the hypervisor', async () => {
    await using pki = await temporaryPki()
    await using attackers = await temporaryPki()
    await using attacker = await vencryptServer({ folder: attackers.path })
    const guest = { host: attacker.host, vncPort: attacker.port }
    await using world = await startWorld({ guest, vnc: vencrypt(pki.path) })
    await world.refusedFor("the hypervisor's certificate was not issued by a CA in hypervisor.vnc.ca")
    expect(await attacker.firstTls).toBe('refused')
  })

  it('the proxy refuses a man in the middle between it and the authority', async () => {
    await using attackers = await temporaryPki()
    const asked: string[] = []
    await using attacker = await interceptNova(attackers.path, asked)
    await using world = await startWorld({ guest: { host: '127.0.0.1', vncPort: 1 }, endpoint: attacker.url })
    expect(await world.refusal()).toMatchObject({ status: 503 })
    await world.proxy.waitForLog(({ refusal }) => refusal === 'authority_unavailable')
    expect(asked).toEqual([])
  })

  it('the proxy does not start if an environment variable switches verification off in Node', async () => {
    const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0' }
    await using proxy = await startApp('proxy', proxyConfig(1, 0), env)
    expect((await proxy.exited).code).toBe(2)
    expect(said(proxy)).toContain('NODE_TLS_REJECT_UNAUTHORIZED')
  })

  it.each(['verify', 'insecure', 'skip_verify', 'reject_unauthorized', 'verify_host'])(
    'the configuration has no key %s',
    async (key) => {
      const vnc = { auth_schemes: ['vencrypt'], [key]: false }
      await using proxy = await startApp('proxy', merge(proxyConfig(1, 0), { hypervisor: { vnc } }))
      expect((await proxy.exited).code).toBe(2)
      expect(said(proxy)).toContain(`hypervisor.vnc.${key}`)
    },
  )
})

describe.skipIf(skip)(`the identity check of the guest${reason}`, () => {
  it('CVE-2013-0335 port reuse: refuses a token for A without a byte of B, which took A’s port', async () => {
    const port = await freePort()
    await using world = await startWorld({ guest: { host: '127.0.0.1', vncPort: port }, identity: 'enforce' })
    {
      await using _a = await startGuest({ port })
      using viewer = await world.open()
      expect(await viewer.desktopName()).toBe(`QEMU (${NAME})`)
    }
    await using b = await startGuest({ port, name: 'instance-0000002b', uuid: randomUUID() })
    using viewer = await world.open()
    viewer.send(Buffer.of(1))
    expect(await viewer.closed()).toEqual({ code: 4009, text: 'Another machine answered in place of yours.' })
    expect(viewer.received()).toHaveLength(0)
    const ended = await world.proxy.waitForLog(({ reason }) => reason === 'wrong_instance')
    expect(ended).toMatchObject({ bytesToClient: 0, detail: expect.stringContaining(`the guest is "${b.name}"`) })
  })

  it('CVE-2013-0335 port reuse: refuses a token for A before 101 after A was deleted in Nova', async () => {
    await using guest = await startGuest({ name: 'instance-0000002b', uuid: randomUUID() })
    await using world = await startWorld({ guest, identity: 'enforce' })
    world.nova.servers.delete(INSTANCE)
    expect(await world.refusal()).toMatchObject({ status: 409 })
    await world.proxy.waitForLog(({ refusal }) => refusal === 'console_moved')
  })

  it.each([
    ['what libvirt calls it', NAME],
    ['its UUID', INSTANCE],
  ])('accepts a guest that has %s', async (_, name) => {
    await using guest = await startGuest({ name })
    await using world = await startWorld({ guest, identity: 'enforce' })
    using viewer = await world.open()
    expect(await viewer.desktopName()).toBe(`QEMU (${name})`)
  })

  it('refuses a guest whose libvirt name equals the display name that the tenant chose', async () => {
    const other = 'instance-0000002b'
    await using guest = await startGuest({ name: other, uuid: randomUUID() })
    const server = { name: other, instanceName: NAME }
    await using world = await startWorld({ guest, identity: 'enforce', server })
    using viewer = await world.open()
    viewer.send(Buffer.of(1))
    expect(await viewer.closed()).toMatchObject({ code: 4009 })
    expect(viewer.received()).toHaveLength(0)
  })

  it('logs the missing role if Nova hides the libvirt name of the instance', async () => {
    await using guest = await startGuest({})
    await using world = await startWorld({ guest, identity: 'enforce', server: { name: 'web-1' } })
    using viewer = await world.open()
    viewer.send(Buffer.of(1))
    expect(await viewer.closed()).toMatchObject({ code: 4009 })
    const ended = await world.proxy.waitForLog(({ reason }) => reason === 'wrong_instance')
    expect(ended.detail).toContain(
      'OS-EXT-SRV-ATTR:instance_name from the proxy, whose credential needs the role admin',
    )
  })

  it('only logs a warning for another guest if the identity is not enforced', async () => {
    await using guest = await startGuest({ name: 'other' })
    await using world = await startWorld({ guest, identity: 'warn' })
    using viewer = await world.open()
    expect(await viewer.desktopName()).toBe('QEMU (other)')
    const warning = await world.proxy.waitForLog(({ msg }) => msg === 'this guest may not be the instance')
    expect(warning).toMatchObject({ instance: INSTANCE, detail: expect.stringContaining('the guest is "other"') })
  })

  it('sends only the token look-up to Nova if identity and validation are off', async () => {
    await using guest = await startGuest({ name: 'other' })
    await using world = await startWorld({ guest, identity: 'off', validate: 'off' })
    using viewer = await world.open()
    expect(await viewer.desktopName()).toBe('QEMU (other)')
    expect(world.nova.requests.filter(({ url }) => url.includes('/servers/'))).toEqual([])
  })
})

describe.skipIf(skip)(`a password of a real QEMU guest${reason}`, () => {
  const password = 'vnc-secret'

  it('opens the console with vnc_auth and without TLS', async () => {
    await using guest = await startGuest({ password })
    await using world = await startWorld({ guest, vnc: { auth_schemes: ['vnc_auth'], password } })
    using viewer = await world.open()
    expect(await viewer.desktopName()).toBe(`QEMU (${NAME})`)
    expect(said(world.proxy)).not.toContain(password)
  })

  it('opens the console inside the TLS of VeNCrypt', async () => {
    await using pki = await temporaryPki()
    await using guest = await startGuest({ password, tls: { folder: pki.path, verifyPeer: false } })
    await using world = await startWorld({ guest, vnc: { ...vencrypt(pki.path), password } })
    using viewer = await world.open()
    expect(await viewer.desktopName()).toBe(`QEMU (${NAME})`)
  })

  it('refuses the console if the password is wrong, and logs the reason without it', async () => {
    await using guest = await startGuest({ password })
    await using world = await startWorld({ guest, vnc: { auth_schemes: ['vnc_auth'], password: 'wrong-pw' } })
    await world.refusedFor('the hypervisor refused: "Authentication failed"')
    expect(said(world.proxy)).not.toContain('wrong-pw')
  })
})

const x11vnc = requires('x11vnc')

describe.skipIf(x11vnc.skip)(`a real x11vnc, which names its desktop itself${x11vnc.reason}`, () => {
  const hosts = (identity: string) => ({ '127.0.0.1': { identity } })

  it('is shown with identity enforced if hypervisor.hosts names its desktop, or exempts it', async () => {
    await using guest = await startX11vnc(`x11vnc of ${INSTANCE}`)
    for (const identity of [`x11vnc of {instance}`, 'off']) {
      await using world = await startWorld({ guest, identity: 'enforce', hosts: hosts(identity) })
      using viewer = await world.open()
      expect(await viewer.desktopName()).toBe(`x11vnc of ${INSTANCE}`)
    }
  })

  it('is refused with identity enforced if its desktop has another name', async () => {
    await using guest = await startX11vnc('x11vnc of another instance')
    await using world = await startWorld({ guest, identity: 'enforce', hosts: hosts('x11vnc of {instance}') })
    using viewer = await world.open()
    viewer.send(Buffer.of(1))
    expect(await viewer.closed()).toMatchObject({ code: 4009 })
    expect(viewer.received()).toHaveLength(0)
    const { detail } = await world.proxy.waitForLog(({ reason }) => reason === 'wrong_instance')
    expect(detail).toContain('the desktop is called "x11vnc of another instance"; hypervisor.hosts names it ')
  })
})

/** Shows a virtual screen with x11vnc, whose desktop is called `desktop`. */
async function startX11vnc(desktop: string) {
  await using scope = new AsyncDisposableStack()
  const { name } = scope.use(await startDisplay())
  const vncPort = await freePort()
  const options = ['-localhost', '-nopw', '-forever', '-shared', '-norc', '-noshm', '-quiet']
  const args = ['-display', name, '-rfbport', String(vncPort), '-desktop', desktop, ...options]
  const child = spawn('x11vnc', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  scope.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill()
    await once(child, 'exit')
  })
  const ready = once(createInterface({ input: child.stdout! }), 'line')
  await Promise.race([ready, once(child, 'exit').then(() => Promise.reject(new Error('x11vnc ended')))])
  const rest = scope.move()
  return { host: '127.0.0.1', vncPort, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

const said = ({ records, otherLines, stderr }: RunningProgram) => JSON.stringify([records, otherLines, stderr])

interface GuestOptions {
  readonly tls?: QemuTls
  readonly port?: number
  readonly name?: string
  readonly uuid?: string
  readonly password?: string
}

function startGuest({ tls, port, name = NAME, uuid = INSTANCE, password }: GuestOptions): Promise<QemuGuest> {
  const vnc = { ...(tls && { tls }), ...(port !== undefined && { port }), ...(password !== undefined && { password }) }
  return startQemu({ name, uuid, vnc })
}

const viewers = async (guest: QemuGuest) => ((await guest.qmp('query-vnc')) as { clients: object[] }).clients

const vencrypt = (folder: string) => ({ auth_schemes: ['vencrypt'], ca_file: join(folder, 'ca-cert.pem') })
const clientCertificate = (folder: string) => ({
  cert_file: join(folder, 'client-cert.pem'),
  key_file: join(folder, 'client-key.pem'),
})

interface WorldOptions {
  readonly guest: { readonly host: string; readonly vncPort: number | undefined }
  readonly vnc?: Record<string, unknown>
  readonly hosts?: Record<string, Record<string, string>>
  readonly identity?: 'off' | 'warn' | 'enforce'
  readonly validate?: 'fresh' | 'state' | 'off'
  readonly server?: NovaServer
  /** Default: the Nova stub's. */
  readonly endpoint?: string
}

/** Starts the proxy for `guest`, with a stub of Nova that knows `TOKEN` and the instance. */
async function startWorld(options: WorldOptions) {
  const { guest, vnc = {}, hosts = {}, identity = 'warn', validate, server, endpoint } = options
  await using scope = new AsyncDisposableStack()
  const console = { instance_uuid: INSTANCE, host: guest.host, port: guest.vncPort! }
  const servers = { [INSTANCE]: server ?? { name: 'web-1', instanceName: NAME } }
  const nova = scope.use(await startNovaStub({ tokens: { [TOKEN]: console }, servers, adminToken: 'service-secret' }))
  const port = await freePort()
  const authority = { endpoint: endpoint ?? nova.url, auth: { token: 'service-secret' }, ...(validate && { validate }) }
  const config = merge(proxyConfig(nova.port, port), { authority, hypervisor: { vnc, hosts, identity } })
  const proxy: RunningProgram = scope.use(await startApp('proxy', config))
  await listening(proxy)
  const dial = () => new WebSocket(`ws://127.0.0.1:${port}/?token=${TOKEN}`, ['binary'])
  const rest = scope.move()
  return {
    ...{ nova, proxy, port },
    open: () => openViewer(dial()),
    refusal: () => refusalOf(dial()),
    /** Expects a refusal with the general reason for the client and the exact one in the log. */
    async refusedFor(detail: string) {
      expect(await refusalOf(dial())).toEqual({ status: 502, message: SECURITY_FAILED })
      const record = await proxy.waitForLog(({ refusal }) => refusal === 'security_failed')
      expect(record.detail).toContain(detail)
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

async function refusalOf(socket: WebSocket) {
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  const fault = JSON.parse(Buffer.concat(await response.toArray()).toString())
  return { status: response.statusCode, message: Object.values<{ message: string }>(fault)[0]!.message }
}

/** Opens a client up to the end of the handshake with the proxy. All further bytes come from the guest. */
async function openViewer(socket: WebSocket) {
  let received = Buffer.alloc(0)
  let news = Promise.withResolvers<void>()
  socket.on('message', (data: Buffer) => {
    received = Buffer.concat([received, data])
    news.resolve()
    news = Promise.withResolvers()
  })
  const closed = once(socket, 'close').then(([code, text]) => ({ code, text: String(text) }))
  const take = async (count: number) => {
    while (received.length < count) await news.promise
    const taken = received.subarray(0, count)
    received = received.subarray(count)
    return taken
  }
  await once(socket, 'open')
  await take(12)
  socket.send(Buffer.from('RFB 003.008\n'))
  await take(2)
  socket.send(Buffer.of(1))
  await take(4)
  return {
    send: (bytes: Uint8Array) => socket.send(bytes),
    closed: () => closed,
    received: () => received,
    async desktopName() {
      socket.send(Buffer.of(1))
      const header = await take(24)
      return (await take(header.readUInt32BE(20))).toString()
    },
    [Symbol.dispose]: () => socket.terminate(),
  }
}

async function interceptNova(folder: string, asked: string[]) {
  const server = createServer(await serverCertificate(folder), (request, response) => {
    asked.push(request.url!)
    response.end('{}')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/v2.1`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
}
