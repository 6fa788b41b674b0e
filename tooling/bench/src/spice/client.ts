/** A SPICE client over TLS. It needs little CPU time, so that a measurement shows the candidate. */
import { constants, createPublicKey, publicEncrypt } from 'node:crypto'
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { within } from '@oriel/testkit'
import { ByteReader } from './byte-reader.ts'
import { channels, common, LINK_HEADER_BYTES, linkMessage, message, u32 } from './wire.ts'

/** The address of a console. */
export interface SpiceTarget {
  readonly port: number
  readonly ticket: string
  /** PEM of the CA that issued the certificate. */
  readonly ca: string
}

interface Link {
  readonly socket: TLSSocket
  readonly reader: ByteReader
  /** Resolves when either side has closed the connection, also after an error. */
  readonly closed: Promise<void>
}

type ChannelName = keyof typeof channels

const TIMEOUT_MS = 30_000
const RSA_BYTES = 162

/** One session: its main channel and further channels. */
export class SpiceClient implements Disposable {
  readonly #target: SpiceTarget
  readonly #links: Link[] = []
  #connectionId = 0

  /** Opens the main channel, then the others. @throws if that fails or takes too long */
  static async open(target: SpiceTarget, others: readonly Exclude<ChannelName, 'main'>[]): Promise<SpiceClient> {
    const client = new SpiceClient(target)
    const opening = async () => {
      await client.#openMain()
      for (const name of others) await client.#link(name)
    }
    try {
      await within(opening(), TIMEOUT_MS, () => 'a SPICE session did not open')
      return client
    } catch (cause) {
      client[Symbol.dispose]()
      throw cause
    }
  }

  private constructor(target: SpiceTarget) {
    this.#target = target
  }

  get openChannels(): number {
    return this.#links.filter(({ socket }) => !socket.destroyed).length
  }

  /** Discards all further bytes. */
  idle(): void {
    for (const { reader } of this.#links) reader.stop()
  }

  /**
   * Makes the newest channel, a display, stream messages of `messageBytes` until `bytes` have arrived. @throws if it
   * ends first
   */
  async stream(messageBytes: number, bytes: number): Promise<number> {
    const { reader, socket, closed } = this.#links.at(-1)!
    let received = 0
    const { promise: done, resolve } = Promise.withResolvers<void>()
    reader.stop((chunk) => {
      received += chunk.length
      if (received >= bytes) resolve()
    })
    const init = Buffer.alloc(14)
    init.writeBigInt64LE(BigInt(messageBytes), 1)
    socket.write(message(101, init))
    await Promise.race([done, closed])
    if (received < bytes) throw new Error(`${received} of ${bytes} bytes came`)
    return received
  }

  /** Closes the session as a viewer does, and waits until the connections are closed. */
  async close(): Promise<void> {
    this.idle()
    for (const { socket } of this.#links) socket.end()
    await within(
      Promise.all(this.#links.map(({ closed }) => closed)),
      TIMEOUT_MS,
      () => 'a SPICE session did not close',
    )
  }

  /** Drops the connections. */
  [Symbol.dispose](): void {
    for (const { socket } of this.#links) socket.destroy()
  }

  async #openMain(): Promise<void> {
    const { reader } = await this.#link('main')
    const init = await reader.read(6 + 32)
    this.#connectionId = init.readUInt32LE(6)
  }

  async #link(name: ChannelName): Promise<Link> {
    const { port, ca, ticket } = this.#target
    const socket = connect({ host: '127.0.0.1', port, ca })
    socket.on('error', () => {}).setNoDelay()
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    const link = { socket, reader: new ByteReader(socket), closed }
    this.#links.push(link)
    await once(socket, 'secureConnect')
    const fields = Buffer.concat([u32(this.#connectionId), Buffer.of(channels[name], 0)])
    socket.write(linkMessage(fields, [common], name === 'main' ? [0x0f] : [0x52]))
    const head = await link.reader.read(LINK_HEADER_BYTES)
    const reply = await link.reader.read(head.readUInt32LE(12))
    if (reply.readUInt32LE() !== 0) throw new Error(`${name}: link error ${reply.readUInt32LE()}`)
    socket.write(Buffer.concat([u32(1), encrypted(ticket, reply.subarray(4, 4 + RSA_BYTES))]))
    const result = await link.reader.read(4)
    if (result.readUInt32LE() !== 0) throw new Error(`${name}: result ${result.readUInt32LE()}`)
    return link
  }
}

function encrypted(ticket: string, key: Buffer): Buffer {
  const publicKey = createPublicKey({ key, format: 'der', type: 'spki' })
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }
  return publicEncrypt({ key: publicKey, ...padding }, Buffer.from(`${ticket}\0`))
}
