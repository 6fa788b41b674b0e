/** Native SPICE through api and proxy as they are built: from minting a console to its picture, under either authority. */
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
  /** The proxy, as a `service` of the api. */
  readonly service: Client
  /** The PEM file of the authority of the proxy's certificate. */
  readonly ca: string
}

interface PairOptions {
  readonly authority: 'nova' | 'oriel'
  /** One `[[sources]]` table. Default: the guest's ports, written down. */
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

  /** The programs, each with its file: the proxy has a certificate, and trusts who signed the guest's. */
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
    it('shows the guest over TLS to whoever follows the link of a console that was minted', async () => {
      await using pair = await startPair({ authority })
      const picture = await screenshot(await fileOf(await mint(pair.alice)), pair.ca)
      expect(differingShare(picture, await guest.screendump())).toBeLessThanOrEqual(TOLERANCE)
      const opened = await pair.proxy.waitForLog(({ msg }) => msg === 'session opened')
      expect(opened).toMatchObject({ instance: ID, target: expect.stringContaining(String(guest.spiceTlsPort)) })
    })

    it('finds the ports of a guest by its monitor, where nobody wrote them down', async () => {
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

    it('lets the second person take the console over, and says so', async () => {
      await using pair = await startPair({ authority })
      using first = await linked(pair, await fileOf(await mint(pair.alice)))
      using second = await linked(pair, await fileOf(await mint(pair.bob)))
      expect([first.result, second.result]).toEqual([0, 0])
      const ended = await pair.proxy.waitForLog(({ msg }) => msg === 'session ended')
      expect(ended).toMatchObject({ reason: 'taken_over' })
    })

    it('or refuses the second, as the setting says', async () => {
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

  it('tells the proxy the TLS port from 2.99 on', async () => {
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

  it('names in the audit both who had the console and who took it over', async () => {
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

  it('and who was refused, because somebody else has it', async () => {
    await using pair = await startPair({ authority: 'oriel', inUse: 'refuse' })
    using first = await linked(pair, await fileOf(await mint(pair.alice)))
    expect(first.result).toBe(0)
    await expect(fileOf(await mint(pair.bob))).rejects.toThrow('409')
    const refused = await pair.api.waitForLog(audited('ended'))
    expect(refused).toMatchObject({ serverId: ID, userId: 'bob', reason: 'too_many' })
    expect(pair.api.records.filter(audited('admitted'))).toMatchObject([{ userId: 'alice' }, { userId: 'bob' }])
  })
})

const audited = (what: string) => (record: LogRecord) => record.audit === what

/** The link that a person gets. */
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

/** What the file behind a link says. @throws the status of a page that comes in its place */
async function fileOf(link: URL): Promise<File> {
  const response = await fetch(link)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`)
  const entry = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? ''
  return { host: entry('host'), tlsPort: Number(entry('tls-port')), password: entry('password') }
}

/** A main channel that stays open. */
const linked = ({ ca }: SpicePair, { tlsPort: port, password }: File) =>
  openLink({ port, password, ca: readFileSync(ca, 'utf8') })
