/** A minimal SPICE client in Node. Unlike a real viewer, it shows the TLS records. */
import { constants, createPublicKey, publicEncrypt } from 'node:crypto'
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { within } from '@oriel/testkit'

export interface SpiceLink extends Disposable {
  /** The content of each TLS record after the link result. */
  readonly records: readonly Buffer[]
  /** The link result after the ticket, or `undefined` if the proxy closed the connection without one. */
  readonly result: number | undefined
  send(type: number, body?: Buffer): void
  /** Returns all messages so far. @throws if a record contains the end of one and the beginning of the next */
  messages(): readonly { readonly type: number; readonly body: Buffer }[]
}

export interface LinkOptions {
  readonly port: number
  readonly ca: string
  readonly password: string
  /** Default: main. */
  readonly channelType?: number
  readonly connectionId?: number
}

const MAGIC = Buffer.from('REDQ')
const timeoutMs = 10_000

/** Opens one channel over TLS. */
export async function openLink(options: LinkOptions): Promise<SpiceLink> {
  const { port, ca, password, channelType = 1, connectionId = 0 } = options
  const socket = connect({ host: '127.0.0.1', port, ca })
  await within(once(socket, 'secureConnect'), timeoutMs, () => 'no TLS')
  const records: Buffer[] = []
  const take = collect(socket, records)
  socket.write(linkMessage(channelType, connectionId))
  const head = await take(16)
  const reply = await take(head.readUInt32LE(12))
  const error = reply.readUInt32LE(0)
  if (error !== 0) throw new Error(`link error ${error}`)
  const key = createPublicKey({ key: reply.subarray(4, 166), format: 'der', type: 'spki' })
  const oaep = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }
  socket.write(Buffer.concat([u32(1), publicEncrypt(oaep, Buffer.from(`${password}\0`))]))
  const result = await take(4).catch(() => undefined)
  return {
    records,
    result: result?.readUInt32LE(),
    send: (type, body = Buffer.alloc(0)) => void socket.write(Buffer.concat([header(type, body.length), body])),
    messages: () => messagesOf(records),
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

/** Splits records into messages. */
function messagesOf(records: readonly Buffer[]): { type: number; body: Buffer }[] {
  const found: { type: number; body: Buffer }[] = []
  let open = Buffer.alloc(0)
  for (const record of records) {
    open = Buffer.concat([open, record])
    const length = open.length < 6 ? Number.POSITIVE_INFINITY : 6 + open.readUInt32LE(2)
    if (open.length > length) throw new Error(`a record crosses the end of message ${open.readUInt16LE()}`)
    if (open.length < length) continue
    found.push({ type: open.readUInt16LE(), body: open.subarray(6) })
    open = Buffer.alloc(0)
  }
  return found
}

/** Reads the link's handshake from a socket, and keeps the following TLS records: each `data` event is one record. */
function collect(socket: TLSSocket, records: Buffer[]) {
  let ended = false
  let news = Promise.withResolvers<void>()
  const note = () => {
    news.resolve()
    news = Promise.withResolvers()
  }
  socket.on('data', (record: Buffer) => {
    records.push(record)
    note()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    ended = true
    note()
  })
  const enough = async (length: number) => {
    while (bytes(records) < length) {
      if (ended) throw new Error(`the proxy closed after ${bytes(records)} bytes`)
      await news.promise
    }
  }
  return async (length: number): Promise<Buffer> => {
    await within(enough(length), timeoutMs, () => `wanted ${length} bytes, have ${bytes(records)}`)
    const all = Buffer.concat(records)
    // The link result is a separate record: keep the boundaries of the following ones.
    const whole = records.findIndex((_, i) => bytes(records.slice(0, i + 1)) === length)
    records.splice(0, records.length, ...(whole < 0 ? [all.subarray(length)] : records.slice(whole + 1)))
    return all.subarray(0, length)
  }
}

const bytes = (records: readonly Buffer[]) => records.reduce((sum, { length }) => sum + length, 0)

function linkMessage(channelType: number, connectionId: number): Buffer {
  const type = Buffer.from([channelType, 0])
  const body = [u32(connectionId), type, u32(1), u32(1), u32(18), u32(0x0d), u32(channelType === 1 ? 0x0f : 0x52)]
  const length = 26
  return Buffer.concat([MAGIC, u32(2), u32(2), u32(length), ...body])
}

function header(type: number, size: number): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt16LE(type)
  head.writeUInt32LE(size, 2)
  return head
}

function u32(value: number): Buffer {
  const word = Buffer.alloc(4)
  word.writeUInt32LE(value)
  return word
}
