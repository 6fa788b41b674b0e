/** Scripted peers and byte-at-a-time streams: tests of protocols say which bytes go where, one after the other. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Duplex, duplexPair as nodeDuplexPair } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { defaultTimeoutMs, type WaitOptions, within } from './deadline.ts'

/** Bytes, or their hexadecimal digits with blanks anywhere: `'52 46 42'`. */
export type Bytes = Uint8Array | string

/** The bytes behind hexadecimal digits. @throws TypeError for anything else than whole pairs of digits. */
export function hex(digits: string): Buffer {
  const bare = digits.replaceAll(/\s+/g, '')
  if (!/^([0-9a-f]{2})*$/i.test(bare)) throw new TypeError(`Not hexadecimal: ${digits}`)
  return Buffer.from(bare, 'hex')
}

/** Two streams in memory: what is written to one is read from the other. */
export function duplexPair(): [Duplex, Duplex] {
  return nodeDuplexPair()
}

/** The same stream, but whatever is read from it arrives one byte per chunk. Writes pass unchanged. */
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

/** One end of a connection that a test plays by hand. Every wait has a deadline and says in hex what was there instead. */
export interface Peer extends Disposable {
  readonly socket: Socket
  /** The next `length` bytes. */
  read(length: number, options?: WaitOptions): Promise<Buffer>
  /** Whatever comes until the other side ends, that end included. */
  readToEnd(options?: WaitOptions): Promise<Buffer>
  /** Reads as many bytes as `bytes` has. @throws when they differ. */
  expect(bytes: Bytes, options?: WaitOptions): Promise<void>
  /** Resolves when the bytes were handed to the system. */
  send(bytes: Bytes, options?: WaitOptions): Promise<void>
  /** Sends each byte in a turn of the event loop of its own. */
  sendSlowly(bytes: Bytes, options?: WaitOptions): Promise<void>
  /** Resolves when the connection is closed, in whichever way. Pending bytes are kept for `read`. */
  closed(options?: WaitOptions): Promise<void>
  /** Says that nothing more will be sent. */
  end(): void
  /** Drops the connection. */
  destroy(): void
}

/** A connection to a server, played by hand. */
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
  /** How many connections came so far. */
  readonly connections: number
  /** Resolves when every script begun so far has ended. @throws what the first failing script threw. */
  finished(): Promise<void>
}

/**
 * Listens on a free port of 127.0.0.1 and plays `script` with every connection; the connection ends with its script.
 * Disposing ends what is still open and throws what a script threw, unless {@link ScriptedServer.finished} did.
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
 * A TCP port of 127.0.0.1 for a program that cannot say which one it got; prefer port 0 wherever it can. It lies below
 * those that the kernel gives out by itself, so that no other socket takes it before the program does, and each process
 * of a test run counts on from a place of its own.
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

/** A failure after the server began to close is the closing itself, not the script's. */
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

/** What has arrived on a socket and was not asked for yet. */
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
