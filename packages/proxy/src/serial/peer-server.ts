/** Lets other processes of this proxy read along the serial ports that this one has open, over a Unix socket. */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { deadline, Secret } from '@oriel/runtime'
import { LegFault } from '../hypervisor/leg.ts'
import { Refused } from '../refused.ts'
import { type FrameType, frameHeader } from './peer-frames.ts'
import type { JoinForPeer } from './peers.ts'
import type { Reader } from './reader.ts'

/** Where another process reaches this one. */
export interface PeerAddress {
  readonly path: string
  /** Proves that a process belongs to this proxy. */
  readonly key: Secret
}

/** The reason in the last frame. `gone`: the port is not open here any longer. */
export interface PeerEnd {
  readonly gone?: true
  readonly refusal?: string
  readonly reason?: string
  readonly detail?: string
}

const KEY_BYTES = 32
/** The path of a Unix socket may have about 100 bytes. */
const NAME_BYTES = 8
const MAX_HELLO_BYTES = 4096
/** Deadline for the first line, which the other process sends at once. */
const HELLO_MS = 5_000

export class PeerServer implements Disposable {
  readonly address: PeerAddress
  readonly #server: Server
  readonly #join: JoinForPeer

  /**
   * @param folder must admit only this user
   * @throws the error of the file system
   */
  static async start(joinPort: JoinForPeer, folder: string): Promise<PeerServer> {
    const name = randomBytes(NAME_BYTES).toString('hex')
    const address = { path: join(folder, name), key: new Secret(randomBytes(KEY_BYTES).toString('hex')) }
    const server = createServer()
    // Otherwise node:cluster would accept the connections in the primary.
    server.listen({ path: address.path, exclusive: true })
    await once(server, 'listening')
    // Must not delay the exit of the process.
    server.unref()
    return new PeerServer(server, address, joinPort)
  }

  private constructor(server: Server, address: PeerAddress, joinPort: JoinForPeer) {
    this.#server = server
    this.address = address
    this.#join = joinPort
    this.#server.on('connection', (socket) => {
      socket.on('error', () => {})
      this.#serve(socket).catch(() => socket.destroy())
    })
  }

  /** Stops accepting connections. */
  [Symbol.dispose](): void {
    this.#server.close()
  }

  async #serve(socket: Socket): Promise<void> {
    const { portId, since, input } = await readHello(socket, this.address.key)
    const left = new AbortController()
    socket.once('close', () => left.abort(new Error('the other process left')))
    let reader: Reader | undefined
    try {
      reader = await this.#join(portId, left.signal, since)
    } catch (error) {
      sendEnd(socket, endOf(error))
      return
    }
    if (reader) relay(reader, socket, input)
    else sendEnd(socket, { gone: true })
  }
}

/** Relays until either side ends. Stops reading either side while the other does not keep up. */
function relay(reader: Reader, socket: Socket, input: Buffer): void {
  socket.once('close', () => reader[Symbol.dispose]())
  socket.on('drain', () => reader.resume())
  send(socket, reader.isMarked ? 'earlierMarked' : 'earlier', reader.takeEarlier())
  reader.closed.then((cause) => sendEnd(socket, cause ? endOf(cause) : {}))
  reader.onDrain(() => socket.resume())
  const write = (bytes: Buffer) => {
    if (!reader.write(bytes)) socket.pause()
  }
  if (input.length > 0) write(input)
  socket.on('data', write).resume()
  reader.take((bytes) => send(socket, 'output', bytes, () => reader.giveBack(bytes)))
}

/** Returns whether the socket takes more. */
function send(socket: Socket, type: FrameType, body: Buffer, sent?: () => void): boolean {
  socket.cork()
  socket.write(frameHeader(type, body.length))
  const takesMore = socket.write(body, sent)
  socket.uncork()
  return takesMore
}

function sendEnd(socket: Socket, end: PeerEnd): void {
  if (socket.destroyed) return
  send(socket, 'end', Buffer.from(JSON.stringify(end)))
  socket.end()
  socket.resume()
}

function endOf(error: unknown): PeerEnd {
  const detail = error instanceof Error ? error.message : 'the port failed'
  if (error instanceof Refused) return { refusal: error.refusal, detail }
  return error instanceof LegFault ? { reason: error.reason, detail } : { detail }
}

/** Reads the first line. @throws Error if it is late, too long, or without the key */
async function readHello(socket: Socket, key: Secret): Promise<Hello & { readonly input: Buffer }> {
  using limit = deadline(HELLO_MS)
  let held = Buffer.alloc(0)
  while (!held.includes('\n')) {
    if (held.length > MAX_HELLO_BYTES) throw new Error('the first line is too long')
    const piece = socket.read() as Buffer | null
    if (piece) held = Buffer.concat([held, piece])
    else await once(socket, 'readable', { signal: limit.signal })
  }
  const end = held.indexOf('\n')
  const hello: unknown = JSON.parse(held.toString('utf8', 0, end))
  if (!isHello(hello) || !isEqual(hello.key, key.reveal())) throw new Error('the first line is malformed')
  return {
    portId: hello.portId,
    ...(hello.since === 'opening' ? { since: hello.since } : {}),
    input: held.subarray(end + 1),
  }
}

interface Hello {
  readonly portId: string
  /** As of {@link JoinForPeer}. */
  readonly since?: 'opening'
}

const isHello = (value: unknown): value is Hello & { readonly key: string } =>
  typeof value === 'object' &&
  value !== null &&
  'key' in value &&
  typeof value.key === 'string' &&
  'portId' in value &&
  typeof value.portId === 'string'

const isEqual = (given: string, key: string) =>
  given.length === key.length && timingSafeEqual(Buffer.from(given), Buffer.from(key))
