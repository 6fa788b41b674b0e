/** Scripted peers and byte-at-a-time streams, for protocol tests that specify the exact bytes on the wire. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Duplex, duplexPair as nodeDuplexPair } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { defaultTimeoutMs, type WaitOptions, within } from './deadline.ts'

/** Bytes, or their hexadecimal digits with optional whitespace: `'52 46 42'`. */
export type Bytes = Uint8Array | string

/** Decodes hexadecimal digits. @throws TypeError if `digits` is not a sequence of pairs of digits. */
export function hex(digits: string): Buffer {
  const bare = digits.replaceAll(/\s+/g, '')
  if (!/^([0-9a-f]{2})*$/i.test(bare)) throw new TypeError(`Not hexadecimal: ${digits}`)
  return Buffer.from(bare, 'hex')
}

/** Creates two connected streams in memory. */
export function duplexPair(): [Duplex, Duplex] {
  return nodeDuplexPair()
}

/** Wraps a stream so that reads return one byte per chunk. Writes pass unchanged. */
export function byteByByte(stream: Duplex): Duplex {
  const bytes = singleBytes(stream)
  const slow = new Duplex({
    readableHighWaterMark: 1,
    read() {
      bytes.next().then(
        ({ value, done }) => this.push(done ? null : value),
        (cause) => this.destroy(cause),
      )
    },
    write(chunk, encoding, done) {
      stream.write(chunk, encoding, done)
    },
    final(done) {
      stream.end(done)
    },
    destroy(cause, done) {
      stream.destroy()
      done(cause)
    },
  })
  return slow
}

/**
 * One end of a connection that a test controls byte by byte. Every wait has a deadline; its error contains the received
 * bytes in hexadecimal.
 */
export interface Peer extends Disposable {
  readonly socket: Socket
  /** Reads the next `length` bytes. */
  read(length: number, options?: WaitOptions): Promise<Buffer>
  /** Reads until the other side ends its stream, and returns the bytes. */
  readToEnd(options?: WaitOptions): Promise<Buffer>
  /** Reads as many bytes as `bytes` has. @throws Error if they differ. */
  expect(bytes: Bytes, options?: WaitOptions): Promise<void>
  /** Resolves when the bytes have been passed to the operating system. */
  send(bytes: Bytes, options?: WaitOptions): Promise<void>
  /** Sends each byte in a separate turn of the event loop. */
  sendSlowly(bytes: Bytes, options?: WaitOptions): Promise<void>
  /** Resolves when the connection is closed, even after an error. Unread bytes are kept for `read`. */
  closed(options?: WaitOptions): Promise<void>
  /** Ends this side's stream (sends FIN). */
  end(): void
  /** Drops the connection. */
  destroy(): void
}

/** Connects to a server. */
export async function connectPeer(address: { host: string; port: number }, options: WaitOptions = {}): Promise<Peer> {
  const socket = connect({ ...address, noDelay: true })
  const peer = peerOf(socket)
  const { timeoutMs = defaultTimeoutMs } = options
  await within(once(socket, 'connect'), timeoutMs, () => `no connection to ${address.host}:${address.port}`)
  return peer
}

export interface ScriptedServer extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** The number of accepted connections. */
  readonly connections: number
  /** Resolves when all scripts that have begun have ended. @throws the error of the first script that failed. */
  finished(): Promise<void>
}

/**
 * Listens on a free port of 127.0.0.1, runs `script` for every connection, and closes the connection when its script
 * ends. Disposing closes open connections, and throws a script's error unless {@link ScriptedServer.finished} has
 * thrown it.
 */
export async function scriptedServer(script: (peer: Peer) => Promise<void>): Promise<ScriptedServer> {
  const scripts: Promise<unknown>[] = []
  const sockets = new Set<Socket>()
  let closing = false
  let connections = 0
  const server = createServer({ noDelay: true }, (socket) => {
    connections += 1
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    scripts.push(play(peerOf(socket), script, () => closing))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const finished = async () => throwFirst(await Promise.all(scripts.splice(0)))
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections
    },
    finished,
    async [Symbol.asyncDispose]() {
      closing = true
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
      await finished()
    },
  }
}

/**
 * Returns a free TCP port of 127.0.0.1, for a program that cannot report its port; prefer port 0 where it can. The port
 * is below the kernel's ephemeral range, so that no outgoing connection takes it before the program does. Each process
 * of a test run starts counting at a different port.
 */
export async function freePort(): Promise<number> {
  candidate = candidate >= LAST_PORT ? FIRST_PORT : candidate + 1
  const port = candidate
  const server = createServer().listen(port, '127.0.0.1')
  const free = await once(server, 'listening').then(
    () => true,
    () => false,
  )
  if (!free) return freePort()
  server.close()
  await once(server, 'close')
  return port
}

const [FIRST_PORT, LAST_PORT] = [20_000, 32_000]
const PORTS_PER_PROCESS = 97
let candidate = FIRST_PORT + ((process.pid * PORTS_PER_PROCESS) % (LAST_PORT - FIRST_PORT))

async function* singleBytes(stream: Duplex): AsyncGenerator<Buffer, void> {
  for await (const chunk of stream) {
    for (const byte of chunk as Buffer) yield Buffer.of(byte)
  }
}

/** Runs a script, and returns its error. Ignores errors after the server began to close: closing causes them. */
async function play(peer: Peer, script: (peer: Peer) => Promise<void>, closing: () => boolean): Promise<unknown> {
  try {
    await script(peer)
    return undefined
  } catch (cause) {
    return closing() ? undefined : cause
  } finally {
    peer.socket.destroySoon()
  }
}

function throwFirst(failures: readonly unknown[]): void {
  for (const failure of failures) if (failure !== undefined) throw failure
}

function peerOf(socket: Socket): Peer {
  const inbox = new Inbox(socket)
  const send = async (bytes: Bytes, { timeoutMs = defaultTimeoutMs }: WaitOptions = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    socket.write(asBuffer(bytes), (cause) => (cause ? reject(cause) : resolve()))
    await within(promise, timeoutMs, () => `${socket.writableLength} bytes could not be sent`)
  }
  return {
    socket,
    send,
    read: (length, options) => inbox.read(length, options),
    readToEnd: (options) => inbox.readToEnd(options),
    closed: (options) => inbox.closed(options),
    async expect(bytes, options) {
      const wanted = asBuffer(bytes)
      const got = await inbox.read(wanted.length, options)
      if (!got.equals(wanted)) throw new Error(`Expected ${spaced(wanted)}, got ${spaced(got)}`)
    },
    async sendSlowly(bytes, options) {
      for (const byte of asBuffer(bytes)) {
        await send(Buffer.of(byte), options)
        await nextTurn()
      }
    },
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    [Symbol.dispose]: () => socket.destroy(),
  }
}

/** Buffers the bytes that a socket has received and the test has not read. */
class Inbox {
  #held: Buffer[] = []
  #length = 0
  #ended = false
  #closed = false
  #failure: Error | undefined
  #news = Promise.withResolvers<void>()

  constructor(socket: Socket) {
    socket.on('data', (chunk: Buffer) => this.#note(() => this.#keep(chunk)))
    socket.on('end', () =>
      this.#note(() => {
        this.#ended = true
      }),
    )
    socket.on('error', (cause) =>
      this.#note(() => {
        this.#failure = cause
      }),
    )
    socket.on('close', () =>
      this.#note(() => {
        this.#closed = true
        this.#ended = true
      }),
    )
  }

  async read(length: number, { timeoutMs = defaultTimeoutMs }: WaitOptions = {}): Promise<Buffer> {
    const enough = this.#until(() => this.#length >= length || this.#ended)
    await within(enough, timeoutMs, () => `wanted ${length} bytes, got ${this.#describe()}`)
    if (this.#length < length)
      throw this.#ending(`wanted ${length} bytes, but the connection ended after ${this.#describe()}`)
    return this.#take(length)
  }

  async readToEnd({ timeoutMs = defaultTimeoutMs }: WaitOptions = {}): Promise<Buffer> {
    await within(
      this.#until(() => this.#ended),
      timeoutMs,
      () => `no end of the stream, but ${this.#describe()}`,
    )
    return this.#take(this.#length)
  }

  async closed({ timeoutMs = defaultTimeoutMs }: WaitOptions = {}): Promise<void> {
    await within(
      this.#until(() => this.#closed),
      timeoutMs,
      () => `the connection is still open, with ${this.#describe()}`,
    )
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#news.promise
  }

  #note(change: () => void): void {
    change()
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }

  #keep(chunk: Buffer): void {
    this.#held.push(chunk)
    this.#length += chunk.length
  }

  #take(length: number): Buffer {
    const all = Buffer.concat(this.#held)
    this.#held = [all.subarray(length)]
    this.#length = all.length - length
    return all.subarray(0, length)
  }

  #describe(): string {
    const all = Buffer.concat(this.#held)
    return `${all.length} bytes: ${spaced(all)}`
  }

  #ending(message: string): Error {
    return new Error(message, this.#failure ? { cause: this.#failure } : {})
  }
}

const shownBytes = 256

function spaced(bytes: Buffer): string {
  const pairs = bytes.subarray(0, shownBytes).toString('hex').match(/../g) ?? []
  return (pairs.join(' ') || '(none)') + (bytes.length > shownBytes ? ' ...' : '')
}

function asBuffer(bytes: Bytes): Buffer {
  return typeof bytes === 'string' ? hex(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
