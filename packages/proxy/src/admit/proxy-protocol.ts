/**
 * The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): the header with which a balancer that
 * passes TCP on says whose connection it is. It is read from the balancers that are trusted, and from nobody else.
 */
import { isIPv4, isIPv6, type Server, Socket } from 'node:net'
import type { AddressSet, Logger } from '@oriel/runtime'
import { plainAddress } from './site.ts'

/** What stands before the bytes of the connection itself. */
export interface ProxyHeader {
  /** Whose connection it is. `undefined`: the balancer's own, such as a health check. */
  readonly client: string | undefined
  /** How long the header is. */
  readonly bytes: number
}

/** The bytes are no header of either version. */
export class MalformedHeader extends Error {
  override readonly name = 'MalformedHeader'
}

export interface ProxyProtocolOptions {
  /** Who may say whose connection it is. */
  readonly trusted: AddressSet
  /** How long the header may take. Balancers send it first and at once. Default: 5000. */
  readonly timeoutMs?: number
  readonly log: Logger
}

const TIMEOUT_MS = 5_000
/** Version 1 says so itself; of version 2, addresses and what HAProxy can put beside them. */
const MAX_V1_BYTES = 107
const MAX_V2_BYTES = 2_048

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V1_BEGIN = Buffer.from('PROXY ')
/** Length of the fixed part, and of the addresses that follow it, by family. */
const V2_FIXED_BYTES = 16
const V2_ADDRESS_BYTES = { ipv4: 12, ipv6: 36 } as const

/**
 * Lets every connection of `server` begin with a header. What listened to connections before gets them once the header
 * is read, with the client's address as their `remoteAddress`; a connection without a right header is dropped and logged.
 */
export function requireProxyHeader(server: Server, options: ProxyProtocolOptions): void {
  const deliver = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  server.removeAllListeners('connection')
  const clients = new Map<string, string>()
  server.on('connection', (socket: Socket) => {
    const { remoteAddress, remotePort } = socket
    readHeader(socket, options).then(
      (client) => {
        clients.set(`${remoteAddress} ${remotePort}`, client)
        socket.once('close', () => clients.delete(`${remoteAddress} ${remotePort}`))
        setAddress(socket, client)
        for (const listener of deliver) listener.call(server, socket)
      },
      (error: Error) => {
        options.log.warn(
          { peer: plainAddress(remoteAddress), detail: error.message },
          'connection without a PROXY header dropped',
        )
        socket.destroy()
      },
    )
  })
  // TLS hands over another socket than the one that arrived.
  server.prependListener('secureConnection', (socket: Socket) => {
    const client = clients.get(`${socket.remoteAddress} ${socket.remotePort}`)
    if (client !== undefined) setAddress(socket, client)
  })
}

/**
 * The header at the beginning of `bytes`, or `undefined` when more is needed to tell.
 * @throws MalformedHeader as soon as it can be none
 */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  if (begins(bytes, SIGNATURE)) return bytes.length < V2_FIXED_BYTES ? undefined : parseV2(bytes)
  if (begins(bytes, V1_BEGIN)) return bytes.length < V1_BEGIN.length ? undefined : parseV1(bytes)
  throw new MalformedHeader('it begins with something else')
}

/** Whether `bytes` has `wanted` at its beginning, as far as it goes. */
function begins(bytes: Buffer, wanted: Buffer): boolean {
  const length = Math.min(bytes.length, wanted.length)
  return bytes.subarray(0, length).equals(wanted.subarray(0, length))
}

/** Section 2.1: `PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n`, or `PROXY UNKNOWN …\r\n`. */
function parseV1(bytes: Buffer): ProxyHeader | undefined {
  const end = bytes.subarray(0, MAX_V1_BYTES).indexOf('\r\n')
  if (end < 0 && bytes.length >= MAX_V1_BYTES) throw new MalformedHeader(`no line end within ${MAX_V1_BYTES} bytes`)
  if (end < 0) return undefined
  const [, family, source = '', destination = '', ...ports] = bytes.toString('latin1', 0, end).split(' ')
  if (family === 'UNKNOWN') return { client: undefined, bytes: end + 2 }
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false
  const right = isAddress(source) && isAddress(destination) && ports.length === 2 && ports.every(isPort)
  if (!right) throw new MalformedHeader('version 1 with wrong addresses')
  return { client: plainAddress(source), bytes: end + 2 }
}

const isPort = (text: string) => /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535

/** Section 2.2: signature, version and command, family and protocol, length, addresses, and TLVs that are passed over. */
function parseV2(bytes: Buffer): ProxyHeader | undefined {
  const [version, command] = [bytes[12]! >> 4, bytes[12]! & 0x0f]
  if (version !== 2 || command > 1) throw new MalformedHeader(`version ${version}, command ${command}`)
  const length = V2_FIXED_BYTES + bytes.readUInt16BE(14)
  if (length > MAX_V2_BYTES) throw new MalformedHeader(`a header of ${length} bytes`)
  const client = command === 1 ? v2Family(bytes[13]!) : undefined
  if (client && length < V2_FIXED_BYTES + V2_ADDRESS_BYTES[client]) throw new MalformedHeader('addresses are cut off')
  if (bytes.length < length) return undefined
  return { client: client && v2Source(bytes, client), bytes: length }
}

/** Of a connection that is not TCP there is no address to believe; the specification lets it pass as the balancer's own. */
function v2Family(byte: number): keyof typeof V2_ADDRESS_BYTES | undefined {
  if (byte === 0x11) return 'ipv4'
  if (byte === 0x21) return 'ipv6'
  if (byte === 0x00) return undefined
  throw new MalformedHeader(`family and protocol 0x${byte.toString(16).padStart(2, '0')}`)
}

function v2Source(bytes: Buffer, family: keyof typeof V2_ADDRESS_BYTES): string {
  if (family === 'ipv4') return [...bytes.subarray(16, 20)].join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(16 + 2 * i).toString(16))
  // A dual-stack HAProxy names IPv4 clients by IPv4-mapped addresses.
  return plainAddress(groups.join(':'))
}

/** Reads the header and puts back what follows it. Gives the client's address. */
async function readHeader(socket: Socket, { trusted, timeoutMs = TIMEOUT_MS }: ProxyProtocolOptions): Promise<string> {
  const peer = plainAddress(socket.remoteAddress)
  if (!trusted.has(peer)) throw new MalformedHeader('it comes from an address that is not in origin.trusted_proxies')
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let held = Buffer.alloc(0)
  const timer = setTimeout(() => reject(new MalformedHeader(`no header within ${timeoutMs} ms`)), timeoutMs)
  const left = () => reject(new MalformedHeader('it ended before its header did'))
  const arrived = () => {
    const piece: Buffer | null = socket.read()
    if (piece === null) return
    held = Buffer.concat([held, piece])
    try {
      const header = parseProxyHeader(held)
      if (!header) return
      socket.off('readable', arrived)
      if (held.length > header.bytes) socket.unshift(held.subarray(header.bytes))
      resolve(header.client ?? peer)
    } catch (error) {
      reject(error)
    }
  }
  socket.on('readable', arrived).on('error', left).on('end', left).on('close', left)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    socket.off('readable', arrived).off('error', left).off('end', left).off('close', left)
  }
}

/** The two ends of a connection on the wire, whatever a header said: no two that are open have the same. */
export const peerOf = (socket: Socket): string => {
  const { remotePort, localAddress, localPort } = socket
  return [Reflect.get(Socket.prototype, 'remoteAddress', socket), remotePort, localAddress, localPort].join(' ')
}

/** From now on the socket says that it is the client's. */
function setAddress(socket: Socket, client: string): void {
  Object.defineProperty(socket, 'remoteAddress', { value: client, configurable: true })
}
