/** Both ends of native SPICE for tests: a scripted hypervisor and a viewer, with a running proxy between them. */
import { constants, createPublicKey, publicEncrypt } from 'node:crypto'
import { loadConfig, parseListen } from '@oriel/runtime'
import {
  connectPeer,
  defaultTimeoutMs,
  hex,
  type NovaStub,
  type Peer,
  type ScriptedServer,
  scriptedServer,
  startNovaStub,
} from '@oriel/testkit'
import type { Admission } from '../../src/authority/authority.ts'
import { novaAuthority } from '../../src/authority/nova.ts'
import { createProxy, proxyConfig, type RunningProxy, refineProxyConfig } from '../../src/index.ts'
import type { SessionRecord } from '../../src/session/open-session.ts'
import type { SpiceBounds } from '../../src/spice/frontend.ts'
import {
  buildLinkErrorReply,
  buildLinkMessage,
  buildLinkReply,
  buildResult,
  type LinkMessage,
  type LinkReply,
  parseLinkMessage,
  parseLinkReply,
  u32,
} from '../../src/spice/wire/link.ts'
import { type ChannelName, channelTypes, type LinkErrorName } from '../../src/spice/wire/protocol.ts'
import { createTicketKeys, type TicketKey } from '../../src/spice/wire/ticket-keys.ts'
import type { Timing } from '../../src/timing.ts'
import {
  ADMIN_TOKEN,
  adding,
  type Captured,
  capture,
  forgetOwnQuestions,
  INSTANCE,
  OTHER_TOKEN,
  TOKEN,
} from '../fixture.ts'

/** The session id that the scripted hypervisor sends. */
export const CONNECTION_ID = 0x71d499b7

/** Builds a message with a header of 6 bytes. */
export function message(type: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(6)
  header.writeUInt16LE(type)
  header.writeUInt32LE(body.length, 2)
  return Buffer.concat([header, body])
}

export const INIT = message(103, Buffer.concat([u32(CONNECTION_ID), Buffer.alloc(28)]))
export const uuidMessage = (uuid: string) => message(114, hex(uuid.replaceAll('-', '')))
export const NAME = message(113, Buffer.concat([u32(6), Buffer.from('web-1\0')]))
/** CHANNELS_LIST with main, display, inputs, and two usbredirs. */
export const CHANNELS = message(104, hex('05000000 0100 0200 0300 0900 0901'))

/** A connection to the scripted hypervisor after its link. */
export interface ServedLink extends LinkMessage {
  /** The ticket that the proxy sent. */
  readonly password: string | undefined
}

export interface HypervisorScript {
  /** Plays a channel after the result. Default: that of {@link asQemu}. */
  readonly channel?: (peer: Peer, link: ServedLink) => Promise<void>
  readonly common?: number
  readonly reply?: LinkErrorName
  readonly result?: LinkErrorName
}

/** Plays QEMU: sends its first messages on main, and waits on other channels until they close. */
export async function asQemu(peer: Peer, { channelType }: ServedLink, uuid = INSTANCE): Promise<void> {
  if (channelType === channelTypes.main) await peer.send(Buffer.concat([INIT, NAME, uuidMessage(uuid), CHANNELS]))
  await peer.closed({ timeoutMs: 60_000 })
}

/** Plays the server's side of a link. A probe disconnects before its ticket. */
export async function serveLink(peer: Peer, key: TicketKey, script: HypervisorScript): Promise<void> {
  const header = await peer.read(16)
  const link = parseLinkMessage(await peer.read(header.readUInt32LE(12)))
  if (script.reply) return peer.send(buildLinkErrorReply(script.reply))
  await peer.send(buildLinkReply({ publicKey: key.publicKey, common: [script.common ?? 0x0b], channel: [0x0f] }))
  const ticket = await peer.read(((link.common[0] ?? 0) & 1) === 1 ? 132 : 128).catch(() => undefined)
  if (!ticket) return
  const password = key.decrypt(ticket.subarray(-128))
  await peer.send(buildResult(script.result ?? 'ok'))
  if (!script.result) await (script.channel ?? asQemu)(peer, { ...link, password })
}

export interface SpiceRun extends AsyncDisposable {
  readonly proxy: RunningProxy
  readonly nova: NovaStub
  readonly hypervisor: ScriptedServer
  readonly log: Captured
  /** Requests a `.vv` file. */
  file(token?: string, init?: RequestInit): Promise<Response>
  /** Requests a file and returns its ticket. */
  ticket(token?: string): Promise<string>
  /** Opens a viewer's connection. */
  connect(): Promise<Peer>
}

export interface SpiceRunOptions {
  readonly script?: HypervisorScript
  /** Plays the hypervisor from its first byte. */
  readonly hypervisor?: (peer: Peer) => Promise<void>
  /** Lines of `[spice]`, then other tables. */
  readonly toml?: string
  readonly bounds?: Partial<SpiceBounds>
  readonly timing?: Partial<Timing>
  /** The authority's record of each admission. */
  readonly record?: SessionRecord | undefined
  /** The expiry of tokens that the authority returns. */
  readonly expiresAt?: Date | undefined
  /** Further members of the admission of a token. */
  readonly admission?: (token: string) => Partial<Admission>
}

/** Starts everything in plaintext on loopback. `TOKEN` and `OTHER_TOKEN` are for consoles of the scripted hypervisor. */
export async function runningSpice(options: SpiceRunOptions = {}): Promise<SpiceRun> {
  await using opened = new AsyncDisposableStack()
  const keys = opened.use(await createTicketKeys(() => {}))
  const play = (peer: Peer) => serveLink(peer, keys.current, options.script ?? {})
  const hypervisor = opened.use(await scriptedServer(options.hypervisor ?? play))
  const console = { instance_uuid: INSTANCE, host: hypervisor.host, port: hypervisor.port, tls_port: null }
  const tokens = { [TOKEN]: console, [OTHER_TOKEN]: console }
  const nova = opened.use(await startNovaStub({ tokens, adminToken: ADMIN_TOKEN }))
  const log = capture()
  const toml = `
    [authority]
    endpoint = "${nova.url}"
    [[listen]]
    address = "127.0.0.1:0"
    consoles = ["spice-direct"]
    [spice]
    listen = "127.0.0.1:0"
    ${options.toml ?? ''}`
  // Scripted hypervisors need not identify their guest. Tests of the identity set this key.
  const env = /identity/.test(toml) ? {} : { ORIEL_HYPERVISOR__IDENTITY: 'warn' }
  const config = loadConfig(proxyConfig, { toml, env, refine: refineProxyConfig })
  const auth = { headers: async () => ({ 'X-Auth-Token': ADMIN_TOKEN }) }
  // Separate tests cover consoles that have moved.
  const asked = { endpoint: nova.url, auth, timeoutMs: defaultTimeoutMs, validate: 'off' } as const
  const authority = novaAuthority(asked)
  const { bounds, record, expiresAt, timing = {} } = options
  const said = Object.fromEntries(Object.entries({ record, expiresAt }).filter(([, value]) => value !== undefined))
  const spiceBounds = { wrongTicketDelayMs: 0, ...bounds }
  const proxy = opened.use(
    await createProxy({
      unauthenticated: false,
      config,
      authority: adding(authority, (token) => ({ ...said, ...options.admission?.(token) })),
      log: log.logger,
      timing,
      spiceBounds,
    }),
  )
  await forgetOwnQuestions(authority, nova)
  const file = (token = TOKEN, init?: RequestInit) =>
    fetch(`http://${proxy.listeners[0]!.address}/nova?token=${token}`, init)
  const close = opened.move()
  return {
    ...{ proxy, nova, hypervisor, log, file },
    ticket: async (token) => passwordOf(await (await file(token)).text()),
    connect: () => connectPeer(parseListen(proxy.spice!.address!)),
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

/** Reads the ticket from a `.vv` file. */
export const passwordOf = (file: string) => /^password=(.*)$/m.exec(file)![1]!

export interface ViewerLink {
  readonly name?: ChannelName
  readonly channelId?: number
  readonly connectionId?: number
  readonly common?: number
  readonly channel?: readonly number[]
}

/** A link message as sent by remote-viewer. */
export const linkOf = ({
  name = 'main',
  channelId = 0,
  connectionId = 0,
  common = 0x0d,
  channel = [0x0f],
}: ViewerLink = {}) =>
  buildLinkMessage({ connectionId, channelType: channelTypes[name], channelId, common: [common], channel })

/** Reads the proxy's link reply. */
export async function readReply(peer: Peer): Promise<LinkReply> {
  const header = await peer.read(16)
  return parseLinkReply(await peer.read(header.readUInt32LE(12)))
}

/** Encrypts the ticket like a viewer, with the mechanism before it. */
export function ticketBytes({ publicKey }: LinkReply, ticket: string, mechanism = 1): Buffer {
  const key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' })
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  return Buffer.concat([u32(mechanism), publicEncrypt({ key, padding, oaepHash: 'sha1' }, Buffer.from(`${ticket}\0`))])
}

/** Returned instead of a result if the proxy closed without one. */
export const CLOSED = -1

/** Opens a channel like a viewer. Returns the peer and the result, which is 0 if the channel is open. */
export async function view(
  run: SpiceRun,
  ticket: string,
  link: ViewerLink = {},
): Promise<{ peer: Peer; result: number }> {
  const peer = await run.connect()
  await peer.send(linkOf(link))
  await peer.send(ticketBytes(await readReply(peer), ticket))
  const answer = await peer.read(4).catch(() => undefined)
  return { peer, result: answer?.readUInt32LE() ?? CLOSED }
}
