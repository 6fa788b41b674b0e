/** A client for all candidates. It needs little CPU time, so that a measurement shows the candidate. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net'
import { type ConnectionOptions, connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import { within } from '@oriel/testkit'
import { clientFrame, FrameReader, longFrame, opcodes } from './frames.ts'

/** The address and protocol of a console. */
export interface Target {
  readonly port: number
  /** The request target of the WebSocket. Absent for plain TCP. */
  readonly path?: (session: number) => string
  /** Whether the candidate performs an RFB handshake with its client. */
  readonly rfb: boolean
  /** The CA of the candidate's certificate. Absent: no TLS. */
  readonly caFile?: string
}

const TIMEOUT_MS = 30_000
/** Shared by all clients: each read is processed before the next one. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024)
/** The number of loopback addresses from which clients connect: each has a separate range of ports. */
const SOURCES = 100
const NORMAL_CLOSURE = Buffer.of(0x03, 0xe8)

export class ConsoleClient implements Disposable {
  /** Resolves when either side has closed the connection. */
  readonly ended: Promise<void>
  readonly #target: Target
  readonly #session: number
  readonly #socket: Socket
  #closing = false
  #held = Buffer.alloc(0)
  #news = () => {}
  #take = (payload: Buffer) => this.#hold(payload)
  #push = (bytes: Buffer) => this.#take(bytes)

  /** Opens a console. With RFB, resolves after ServerInit. @throws if that fails or takes too long */
  static async open(target: Target, session = 0): Promise<ConsoleClient> {
    const client = new ConsoleClient(target, session)
    try {
      await within(client.#handshake(), TIMEOUT_MS, () => `session ${session} did not open`)
      return client
    } catch (cause) {
      client[Symbol.dispose]()
      throw cause
    }
  }

  private constructor(target: Target, session: number) {
    this.#target = target
    this.#session = session
    this.#socket = open(target, {
      host: '127.0.0.1',
      port: target.port,
      localAddress: `127.0.0.${2 + (session % SOURCES)}`,
      noDelay: true,
      onread: { buffer: READ_BUFFER, callback: (length, buffer) => this.#read(buffer as Buffer, length) },
    })
    this.#socket.on('error', () => {})
    this.ended = new Promise((resolve) => this.#socket.once('close', () => resolve()))
    this.ended.then(() => this.#news())
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  /** Passes all further payload to `bytes`. A buffer is only valid during the call. */
  take(bytes: (payload: Buffer) => void): void {
    this.#take = bytes
  }

  send(payload: Uint8Array): void {
    this.#socket.write(this.#target.path ? clientFrame(opcodes.binary, payload) : payload)
  }

  /** Sends a message `count` times, as fast as the candidate reads. */
  async sendOften(payload: Uint8Array, count: number): Promise<void> {
    const bytes = this.#target.path ? longFrame(opcodes.binary, payload) : payload
    for (let sent = 0; sent < count; sent += 1) {
      if (!this.#socket.write(bytes)) await once(this.#socket, 'drain')
    }
  }

  /** Reads the next `length` bytes. Only one read may be pending. */
  async read(length: number): Promise<Buffer> {
    await this.#until(() => this.#held.length >= length)
    const bytes = this.#held.subarray(0, length)
    this.#held = this.#held.subarray(length)
    return bytes
  }

  /** Stops reading. */
  stall(): void {
    this.#socket.pause()
  }

  /** Closes the connection cleanly: with a close frame and its reply, or by ending the stream. */
  async close(): Promise<void> {
    this.#closing = true
    if (this.#target.path) this.#socket.write(clientFrame(opcodes.close, NORMAL_CLOSURE))
    else this.#socket.end()
    await within(this.ended, TIMEOUT_MS, () => `session ${this.#session} did not close`)
  }

  /** Drops the connection without a close frame. */
  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  async #handshake(): Promise<void> {
    const { path, rfb } = this.#target
    await once(this.#socket, this.#target.caFile ? 'secureConnect' : 'connect')
    if (path) await this.#upgrade(path(this.#session))
    if (rfb) await this.#rfbHandshake()
  }

  async #upgrade(path: string): Promise<void> {
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${this.#target.port}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Protocol: binary',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ]
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`)
    await this.#until(() => this.#held.includes('\r\n\r\n'))
    const head = await this.read(this.#held.indexOf('\r\n\r\n') + 4)
    if (!head.subarray(0, 13).equals(SWITCHING)) throw new Error(`refused: ${head.toString('latin1').split('\r\n', 1)}`)
    this.#readFrames()
  }

  #readFrames(): void {
    const early = this.#held
    this.#held = Buffer.alloc(0)
    const frames = new FrameReader({
      data: (payload) => this.#take(payload),
      control: (opcode, payload) => {
        if (opcode === opcodes.ping) this.#socket.write(clientFrame(opcodes.pong, payload))
        if (opcode === opcodes.close && !this.#closing) this.#socket.end(clientFrame(opcodes.close, payload))
      },
    })
    this.#push = (bytes) => frames.push(bytes)
    this.#push(early)
  }

  /** RFC 6143 sections 7.1 and 7.3, version 3.8 with security type None. */
  async #rfbHandshake(): Promise<void> {
    this.send(await this.read(12))
    await this.read(2)
    this.send(Buffer.of(1))
    await this.read(4)
    this.send(Buffer.of(1))
    const serverInit = await this.read(24)
    await this.read(serverInit.readUInt32BE(20))
  }

  #read(buffer: Buffer, length: number): boolean {
    this.#push(buffer.subarray(0, length))
    return true
  }

  #hold(payload: Buffer): void {
    this.#held = Buffer.concat([this.#held, payload])
    this.#news()
  }

  async #until(enough: () => boolean): Promise<void> {
    while (!enough()) {
      if (!this.isOpen) throw new Error(`session ${this.#session} ended too early`)
      await new Promise<void>((resolve) => {
        this.#news = resolve
      })
    }
  }
}

function open({ caFile }: Target, options: TcpNetConnectOpts): Socket {
  if (caFile === undefined) return connect(options)
  // Node documents `onread` for TLS as well; its types lack it.
  return connectTls({ ...options, secureContext: contextOf(caFile) } as ConnectionOptions)
}

/** Shared by all clients: parsing a CA takes longer than a handshake. */
const contexts = new Map<string, SecureContext>()

function contextOf(caFile: string): SecureContext {
  const context = contexts.get(caFile) ?? createSecureContext({ ca: readFileSync(caFile) })
  contexts.set(caFile, context)
  return context
}

const SWITCHING = Buffer.from('HTTP/1.1 101 ')
