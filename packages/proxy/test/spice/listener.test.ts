/** The ports for viewers: waiting connections, the plaintext port beside TLS, and TLS records. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { parseListen } from '@oriel/runtime'
import { connectPeer, type Peer, scriptedServer, temporaryPki } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildLinkReply, buildResult, parseLinkReply } from '../../src/spice/wire/link.ts'
import { linkErrors } from '../../src/spice/wire/protocol.ts'
import { createTicketKeys } from '../../src/spice/wire/ticket-keys.ts'
import { TOKEN } from '../fixture.ts'
import {
  INIT,
  linkOf,
  message,
  readReply,
  runningSpice,
  type SpiceRun,
  type SpiceRunOptions,
  ticketBytes,
  view,
} from './fixture.ts'

let pki: Awaited<ReturnType<typeof temporaryPki>>
let [tls, ca, cert, key] = ['', '', '', '']

beforeAll(async () => {
  pki = await temporaryPki()
  ;[ca, cert, key] = await Promise.all([read('ca-cert.pem'), read('server-cert.pem'), read('server-key.pem')])
  tls = `tls_listen = "127.0.0.1:0"\ntls = { cert = """${cert}""", key = """${key}""" }`
})
afterAll(() => pki[Symbol.asyncDispose]())

const read = (name: string) => readFile(join(pki.path, name), 'utf8')
const overTls = (options: SpiceRunOptions = {}) => runningSpice({ ...options, toml: `${tls}\n${options.toml ?? ''}` })

describe('the plaintext port beside TLS', () => {
  it('answers that TLS is required, and closes', async () => {
    await using run = await overTls()
    using peer = await run.connect()
    await peer.send(linkOf())
    expect((await readReply(peer)).error).toBe(linkErrors.need_secured)
    await peer.closed()
  })

  it('counts a refused client as waiting until it closes', async () => {
    await using run = await overTls({ bounds: { maxWaitingPerClient: 1, flushTimeoutMs: 60_000 } })
    const staying = await sentAway(run)
    expect(await hears(run)).toBe(false)
    staying.destroy()
    await expect.poll(() => hears(run)).toBe(true)
  })

  it('drops a refused client that stays connected, and discards its input', async () => {
    await using run = await overTls({
      bounds: { maxWaitingPerClient: 1, flushTimeoutMs: 200, handshakeTimeoutMs: 60_000 },
    })
    const staying = await sentAway(run)
    staying.write(Buffer.alloc(1 << 20))
    await expect.poll(() => hears(run)).toBe(true)
    staying.destroy()
  })

  /** A client that does not close its connection after the response, nor when the proxy closes. */
  async function sentAway(run: SpiceRun): Promise<Socket> {
    const socket = connect({ ...parseListen(run.proxy.spice!.address!), allowHalfOpen: true }).on('error', () => {})
    socket.write(linkOf())
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(parseLinkReply(answer.subarray(16)).error).toBe(linkErrors.need_secured)
    return socket
  }
})

describe('a refused client that stays connected', () => {
  it.each([
    ['with another magic', Buffer.alloc(64)],
    ['with HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('%s counts as waiting for a limited time', async (_name, bytes) => {
    await using run = await runningSpice({ bounds: { maxWaitingPerClient: 1, flushTimeoutMs: 60_000 } })
    const staying = connect({ ...parseListen(run.proxy.spice!.address!), allowHalfOpen: true })
    staying.write(bytes)
    await once(staying, 'data')
    expect(await hears(run)).toBe(false)
    staying.destroy()
    await expect.poll(() => hears(run)).toBe(true)
  })
})

describe('silent connections from many addresses', () => {
  it.each([
    ['in plaintext', (options: SpiceRunOptions) => runningSpice(options), (run: SpiceRun) => run.proxy.spice!.address!],
    ['over TLS', overTls, (run: SpiceRun) => run.proxy.spice!.tlsAddress!],
  ])('%s do not keep new clients out: the oldest silent one is replaced', async (_, start, addressOf) => {
    await using run = await start({ bounds: { handshakeTimeoutMs: 60_000, displacedAfterMs: Infinity } })
    using crowd = new DisposableStack()
    const address = addressOf(run)
    const silent: Socket[] = []
    for (let client = 1; client <= 32; client += 1) {
      const come = async () => {
        const socket = connect({ ...parseListen(address), localAddress: `127.0.1.${client}` })
          .on('error', () => {})
          .resume()
        crowd.defer(() => socket.destroy())
        silent.push(socket)
        await once(socket, 'connect')
      }
      await Promise.all(Array.from({ length: 32 }, come))
    }
    const ticket = await run.ticket()
    if (address === run.proxy.spice!.address) {
      const { peer, result } = await view(run, ticket)
      expect(result).toBe(0)
      peer.destroy()
    } else {
      expect(await viewOverTls(run, ticket, 4)).not.toEqual([])
    }
    await expect.poll(() => silent.filter(({ closed, readableEnded }) => closed || readableEnded).length).toBe(1)
    expect(run.log.records('too many waiting connections: a new one replaced this')).toMatchObject([
      { client: '127.0.1.1' },
    ])
  })
})

describe('the port for TLS', () => {
  it('sends no answer to a plaintext link', async () => {
    await using run = await overTls()
    using peer = await connectPeer(parseListen(run.proxy.spice!.tlsAddress!))
    await peer.send(linkOf())
    // At most a TLS alert.
    expect((await peer.readToEnd()).includes('REDQ')).toBe(false)
  })

  it('begins every message in a separate TLS record, however the hypervisor groups them', async () => {
    const messages = Array.from({ length: 200 }, (_, i) => message(200 + i, Buffer.alloc((i * 7919) % 20_000, i)))
    const channel = async (peer: Peer) => {
      await peer.send(Buffer.concat([INIT, ...messages]))
      await peer.closed({ timeoutMs: 60_000 })
    }
    await using run = await overTls({ script: { channel } })
    const ticket = await run.ticket()
    const sent = [buildResult('ok'), INIT, ...messages]
    const records = await viewOverTls(run, ticket, Buffer.concat(sent).length)
    expect(Buffer.concat(records).equals(Buffer.concat(sent))).toBe(true)
    const starts = new Set(startsOf(records))
    expect(startsOf(sent).filter((start) => !starts.has(start))).toEqual([])
  })

  /** The TLS records that a viewer of main receives after its ticket: Node emits each as one piece. */
  function startsOf(pieces: readonly Buffer[]): number[] {
    let at = 0
    return pieces.map(({ length }) => {
      at += length
      return at - length
    })
  }
})

describe('the leg to a hypervisor with a TLS port', () => {
  it('speaks TLS from its first byte, and does not dial the plaintext port', async () => {
    const first = Promise.withResolvers<Buffer>()
    await using hypervisor = await scriptedServer(async (peer) => first.resolve(await peer.read(3)))
    await using run = await runningSpice()
    leadTo(run, hypervisor)
    expect((await run.file()).status).toBe(502)
    // A TLS handshake, in a record of version 3.1 or later.
    expect([...(await first.promise).subarray(0, 2)]).toEqual([0x16, 0x03])
    expect(run.hypervisor.connections).toBe(0)
  })

  it.each([
    ['of the configured CA, for this host', () => ({ ca }), '127.0.0.1', 200],
    ['of another CA', () => ({ ca: undefined }), '127.0.0.1', 502],
    ['for another host', () => ({ ca }), '127.0.0.2', 502],
  ] as const)(
    'VeNCrypt host name, verification off: with a certificate %s, it sends its link only if that is valid',
    async (_name, trust, host, status) => {
      const heard: Buffer[] = []
      await using hypervisor = await tlsHypervisor(host, heard)
      const anchor = trust().ca
      const toml = anchor === undefined ? '' : `[hypervisor.spice]\nca = """${anchor}"""`
      await using run = await runningSpice({ toml })
      leadTo(run, { host, port: hypervisor.port })
      expect((await run.file()).status).toBe(status)
      expect(heard.length > 0).toBe(status === 200)
      expect(run.hypervisor.connections).toBe(0)
    },
  )

  /** Nova returns both ports. The plaintext port is that of the scripted hypervisor. */
  function leadTo(run: SpiceRun, { host, port }: { host: string; port: number }): void {
    run.nova.tokens.set(TOKEN, { ...run.nova.tokens.get(TOKEN)!, host, tls_port: port })
  }

  /** Replies to links over TLS. */
  async function tlsHypervisor(host: string, heard: Buffer[]) {
    using keys = await createTicketKeys(() => {})
    const reply = buildLinkReply({ publicKey: keys.current.publicKey, common: [0x0b], channel: [0x0f] })
    const server = createTlsServer({ cert, key }, (socket) => {
      socket.on('error', () => {})
      socket.once('data', (bytes: Buffer) => {
        heard.push(bytes)
        socket.write(reply)
      })
    })
    await once(server.listen(0, host), 'listening')
    const { port } = server.address() as AddressInfo
    return { port, [Symbol.asyncDispose]: async () => void server.close() }
  }
})

/** Whether the proxy replies to a link that is sent now. */
async function hears(run: SpiceRun): Promise<boolean> {
  using peer = await run.connect()
  await peer.send(linkOf()).catch(() => {})
  return await readReply(peer).then(
    () => true,
    () => false,
  )
}

async function viewOverTls(run: SpiceRun, ticket: string, bytes: number): Promise<Buffer[]> {
  const socket = tlsConnect({ ...parseListen(run.proxy.spice!.tlsAddress!), ca })
  try {
    socket.write(linkOf())
    const [reply] = (await once(socket, 'data')) as [Buffer]
    const records: Buffer[] = []
    const { promise, resolve, reject } = Promise.withResolvers<Buffer[]>()
    let left = bytes
    socket.on('close', () => reject(new Error(`${left} bytes are missing`)))
    socket.on('data', (record: Buffer) => {
      records.push(record)
      left -= record.length
      if (left <= 0) resolve(records)
    })
    socket.write(ticketBytes(parseLinkReply(reply.subarray(16)), ticket))
    return await promise
  } finally {
    socket.destroy()
  }
}
