/**
 * Native SPICE through the built api and proxy: from creating a console to its picture, with both kinds of authority.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from '@oriel/sdk'
import {
  differingShare,
  freePort,
  type LogRecord,
  type QemuGuest,
  type RunningProgram,
  requires,
  type TemporaryFolder,
  temporaryPki,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  apiConfig,
  COLLEAGUE_TOKEN,
  listening,
  MEMBER_TOKEN,
  merge,
  PROJECT,
  proxyConfig,
  SERVICE_TOKEN,
  startApp,
} from './parts/oriel.ts'
import { clientOf, sessionTables } from './parts/sessions.ts'
import { requiresViewers, screenshot, startGuest, TOLERANCE, until } from './parts/spice.ts'
import { openLink } from './parts/spice-link.ts'

const [qemu, viewers] = [requires('qemu'), requiresViewers()]
const skip = qemu.skip || viewers.skip
const ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const body = { remote_console: { protocol: 'spice', type: 'spice-direct' } } as const

type Toml = Record<string, unknown>

interface SpicePair extends AsyncDisposable {
  readonly api: RunningProgram
  readonly proxy: RunningProgram
  readonly alice: Client
  readonly bob: Client
  /** A client with the proxy's role `service`. */
  readonly service: Client
  /** The PEM file of the CA of the proxy's certificate. */
  readonly ca: string
}

interface PairOptions {
  readonly authority: 'nova' | 'oriel'
  /** One `[[sources]]` table. Default: a static one with the guest's ports. */
  readonly source?: Toml
  readonly inUse?: 'take_over' | 'refuse'
}

describe.skipIf(skip)(`native SPICE through api and proxy${qemu.reason}${viewers.reason}`, () => {
  const parts = new AsyncDisposableStack()
  let cloud: TemporaryFolder
  let guest: QemuGuest

  beforeAll(async () => {
    cloud = parts.use(await temporaryPki())
    guest = parts.use(await startGuest({ name: 'web-1', uuid: ID, spice: { tls: { folder: cloud.path } } }))
  })
  afterAll(() => parts.disposeAsync())

  const written = (): Toml => {
    const spice = { host: guest.host, port: guest.spicePort, tls_port: guest.spiceTlsPort }
    const server = { id: ID, name: guest.name, project_id: PROJECT, status: 'ACTIVE', consoles: { spice } }
    return { kind: 'static', servers: [server] }
  }

  /** Starts both programs. The proxy has a certificate, and trusts the CA of the guest's certificate. */
  async function startPair({ authority, source = written(), inUse = 'take_over' }: PairOptions): Promise<SpicePair> {
    await using opened = new AsyncDisposableStack()
    const pki = opened.use(await temporaryPki())
    const [apiPort, vvPort] = [await freePort(), await freePort()]
    const sessions = sessionTables(apiPort, 'proxy-1')
    const consoles = { 'spice-direct': { base_url: `http://127.0.0.1:${vvPort}/nova` } }
    const apiToml = merge(apiConfig(apiPort, vvPort, []), { ...sessions.api, consoles, sources: [source] })
    const api = opened.use(await startApp('api', apiToml))
    await listening(api)
    const proxyToml = merge(proxyConfig(apiPort, vvPort), {
      ...(authority === 'oriel' && sessions.proxy),
      listen: [{ address: `127.0.0.1:${vvPort}`, consoles: ['spice-direct'] }],
      spice: {
        ...{ tls_listen: '127.0.0.1:0', in_use: inUse },
        tls: {
          cert_file: join(pki.path, 'server-cert.pem'),
          key_file: join(pki.path, 'server-key.pem'),
          ca_file: join(pki.path, 'ca-cert.pem'),
        },
      },
      hypervisor: { identity: 'enforce', spice: { ca_file: join(cloud.path, 'ca-cert.pem') } },
    })
    const proxy = opened.use(await startApp('proxy', proxyToml))
    await proxy.waitForLog(({ msg, address }) => msg === 'listening' && address === `127.0.0.1:${vvPort}`)
    const [alice, bob, service] = [MEMBER_TOKEN, COLLEAGUE_TOKEN, SERVICE_TOKEN].map((token) =>
      clientOf(apiPort, token),
    )
    const close = opened.move()
    return {
      ...{ api, proxy, alice: alice!, bob: bob!, service: service!, ca: join(pki.path, 'ca-cert.pem') },
      [Symbol.asyncDispose]: () => close.disposeAsync(),
    }
  }

  describe.each(['nova', 'oriel'] as const)('with authority.kind = "%s"', (authority) => {
    it('shows the guest over TLS with the link of a new console', async () => {
      await using pair = await startPair({ authority })
      const picture = await screenshot(await fileOf(await mint(pair.alice)), pair.ca)
      expect(differingShare(picture, await guest.screendump())).toBeLessThanOrEqual(TOLERANCE)
      const opened = await pair.proxy.waitForLog(({ msg }) => msg === 'session opened')
      expect(opened).toMatchObject({ instance: ID, target: expect.stringContaining(String(guest.spiceTlsPort)) })
    })

    it('gets the ports of a guest from its monitor', async () => {
      const patience = { answer_timeout_ms: 15_000 }
      const source = { kind: 'qemu', project_id: PROJECT, host: guest.host, qmp: guest.qmpSocket, ...patience }
      await using pair = await startPair({ authority, source })
      await expect
        .poll(async () => (await pair.alice.at('2.99').listServersDetail()).servers)
        .toMatchObject([{ id: ID, status: 'ACTIVE' }])
      const link = await mint(pair.alice)
      expect(await connectInfo(pair, link)).toMatchObject({ port: guest.spicePort, tls_port: guest.spiceTlsPort })
      const picture = await screenshot(await fileOf(link), pair.ca)
      expect(differingShare(picture, await guest.screendump())).toBeLessThanOrEqual(TOLERANCE)
    })

    it('lets a second user take the console over, and logs it', async () => {
      await using pair = await startPair({ authority })
      using first = await linked(pair, await fileOf(await mint(pair.alice)))
      using second = await linked(pair, await fileOf(await mint(pair.bob)))
      expect([first.result, second.result]).toEqual([0, 0])
      const ended = await pair.proxy.waitForLog(({ msg }) => msg === 'session ended')
      expect(ended).toMatchObject({ reason: 'taken_over' })
    })

    it('refuses a second user if spice.in_use = "refuse"', async () => {
      await using pair = await startPair({ authority, inUse: 'refuse' })
      const link = await mint(pair.bob)
      using first = await linked(pair, await fileOf(await mint(pair.alice)))
      expect(first.result).toBe(0)
      await expect(fileOf(link)).rejects.toThrow('409')
      first.send(104)
      await until(
        () => first.messages(),
        (messages) => messages.some(({ type }) => type === 104),
      )
    })
  })

  it('the api returns the TLS port to the proxy from 2.99 on', async () => {
    await using pair = await startPair({ authority: 'nova' })
    const link = await mint(pair.alice)
    expect(await connectInfo(pair, link)).toEqual({
      instance_uuid: ID,
      host: guest.host,
      port: guest.spicePort,
      tls_port: guest.spiceTlsPort,
      internal_access_path: null,
    })
  })

  it('the audit log names the user who had the console and the one who took it over', async () => {
    await using pair = await startPair({ authority: 'oriel' })
    using first = await linked(pair, await fileOf(await mint(pair.alice)))
    using second = await linked(pair, await fileOf(await mint(pair.bob)))
    expect([first.result, second.result]).toEqual([0, 0])
    const console = { serverId: ID, type: 'spice-direct', clientAddress: '127.0.0.1', proxyId: 'proxy-1' }
    const ended = await pair.api.waitForLog(audited('ended'))
    expect(ended).toMatchObject({ ...console, userId: 'alice', reason: 'taken_over' })
    const admitted = pair.api.records.filter(audited('admitted'))
    expect(admitted).toMatchObject([
      { ...console, userId: 'alice', session: ended.session },
      { ...console, userId: 'bob' },
    ])
    expect(admitted[1]!.session).not.toBe(ended.session)
  })

  it('the audit log names the user who was refused because another one has the console', async () => {
    await using pair = await startPair({ authority: 'oriel', inUse: 'refuse' })
    using first = await linked(pair, await fileOf(await mint(pair.alice)))
    expect(first.result).toBe(0)
    await expect(fileOf(await mint(pair.bob))).rejects.toThrow('409')
    const refused = await pair.api.waitForLog(audited('ended'))
    expect(refused).toMatchObject({ serverId: ID, userId: 'bob', reason: 'in_use' })
    expect(pair.api.records.filter(audited('admitted'))).toMatchObject([{ userId: 'alice' }, { userId: 'bob' }])
  })
})

const audited = (what: string) => (record: LogRecord) => record.audit === what

/** Creates a console, and returns its link. */
async function mint(client: Client): Promise<URL> {
  const { remote_console } = await client.at('2.99').createRemoteConsole({ server_id: ID, body })
  return new URL(remote_console.url)
}

async function connectInfo({ service }: SpicePair, link: URL) {
  const console_token = link.searchParams.get('token')!
  return (await service.at('2.99').showConsoleAuthToken({ console_token })).console
}

interface File {
  readonly host: string
  readonly tlsPort: number
  readonly password: string
}

/** Downloads and parses the file behind a link. @throws the status of the page if the proxy refuses it */
async function fileOf(link: URL): Promise<File> {
  const response = await fetch(link)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`)
  const entry = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? ''
  return { host: entry('host'), tlsPort: Number(entry('tls-port')), password: entry('password') }
}

/** Opens a main channel. */
const linked = ({ ca }: SpicePair, { tlsPort: port, password }: File) =>
  openLink({ port, password, ca: readFileSync(ca, 'utf8') })
