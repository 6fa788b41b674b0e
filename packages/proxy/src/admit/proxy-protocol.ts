/**
 * The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): the header in which a TCP balancer names the
 * client of a connection. Only trusted balancers may send it.
 */
import { isIPv4, isIPv6, type Server, Socket } from 'node:net'
import type { AddressSet, Logger } from '@oriel/runtime'
import { plainAddress } from './site.ts'

/** A parsed header, which precedes the connection's own bytes. */
export interface ProxyHeader {
  /** The client's address; `undefined` if the header names none: LOCAL, such as health checks, UNKNOWN or UNSPEC. */
  readonly client: string | undefined
  /** The length of the header. */
  readonly bytes: number
}

/** Why a connection is dropped: no header in time, a malformed one, or one from an untrusted sender. */
export class RejectedHeader extends Error {
  override readonly name = 'RejectedHeader'
}

export interface ProxyProtocolOptions {
  /** The balancers whose headers are believed. */
  readonly trusted: AddressSet
  /** Deadline for the header, milliseconds. Balancers send it first and at once. Default: 5000. */
  readonly timeoutMs?: number
  readonly log: Logger
}

const TIMEOUT_MS = 5_000
/** Version 1 has a maximum in the specification. Version 2 has none; this one leaves room for the TLVs that HAProxy adds. */
const MAX_V1_BYTES = 107
const MAX_V2_BYTES = 2_048

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V1_BEGIN = Buffer.from('PROXY ')
/** Length of the fixed part, and of the addresses that follow it, by family. */
const V2_FIXED_BYTES = 16
const V2_ADDRESS_BYTES = { ipv4: 12, ipv6: 36 } as const

/**
 * Requires a header on every connection of `server`. The existing `connection` listeners receive a connection once its
 * header is read, with the client's address as `remoteAddress`. Drops and logs a connection without a valid header.
 */
export function requireProxyHeader(server: Server, options: ProxyProtocolOptions): void {
  const listeners = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  server.removeAllListeners('connection')
  const clients = new Map<string, string>()
  server.on('connection', (socket: Socket) => {
    const { remoteAddress, remotePort } = socket
    readHeader(socket, options).then(
      (client) => {
        clients.set(`${remoteAddress} ${remotePort}`, client)
        socket.once('close', () => clients.delete(`${remoteAddress} ${remotePort}`))
        setAddress(socket, client)
        for (const listener of listeners) listener.call(server, socket)
      },
      (error: Error) => {
        options.log.warn(
          { peer: plainAddress(remoteAddress), detail: error.message },
          'connection dropped: no valid PROXY header from a trusted balancer',
        )
        socket.destroy()
      },
    )
  })
  // A TLS server emits a different socket object than the one that connected.
  server.prependListener('secureConnection', (socket: Socket) => {
    const client = clients.get(`${socket.remoteAddress} ${socket.remotePort}`)
    if (client !== undefined) setAddress(socket, client)
  })
}

/**
 * Parses the header at the beginning of `bytes`. Returns `undefined` if the header is incomplete.
 * @throws RejectedHeader as soon as the bytes cannot become a valid header
 */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  if (begins(bytes, SIGNATURE)) return bytes.length < V2_FIXED_BYTES ? undefined : parseV2(bytes)
  if (begins(bytes, V1_BEGIN)) return bytes.length < V1_BEGIN.length ? undefined : parseV1(bytes)
  throw new RejectedHeader('the connection does not begin with a PROXY header')
}

/** Whether `bytes` begins with `wanted`, or is a prefix of it. */
function begins(bytes: Buffer, wanted: Buffer): boolean {
  const length = Math.min(bytes.length, wanted.length)
  return bytes.subarray(0, length).equals(wanted.subarray(0, length))
}

/** Section 2.1: `PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n`, or `PROXY UNKNOWN …\r\n`. */
function parseV1(bytes: Buffer): ProxyHeader | undefined {
  const end = bytes.subarray(0, MAX_V1_BYTES).indexOf('\r\n')
  if (end < 0 && bytes.length >= MAX_V1_BYTES) throw new RejectedHeader(`no line end within ${MAX_V1_BYTES} bytes`)
  if (end < 0) return undefined
  const [, family, source = '', destination = '', ...ports] = bytes.toString('latin1', 0, end).split(' ')
  if (family === 'UNKNOWN') return { client: undefined, bytes: end + 2 }
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false
  const isValid = isAddress(source) && isAddress(destination) && ports.length === 2 && ports.every(isPort)
  if (!isValid) throw new RejectedHeader('version 1 with an invalid family, address or port')
  return { client: plainAddress(source), bytes: end + 2 }
}

const isPort = (text: string) => /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535

/** Section 2.2: signature, version and command, family and protocol, length, addresses, and TLVs, which are ignored. */
function parseV2(bytes: Buffer): ProxyHeader | undefined {
  const [version, command] = [bytes[12]! >> 4, bytes[12]! & 0x0f]
  if (version !== 2 || command > 1) throw new RejectedHeader(`unsupported version ${version} with command ${command}`)
  const length = V2_FIXED_BYTES + bytes.readUInt16BE(14)
  if (length > MAX_V2_BYTES) throw new RejectedHeader(`the header has ${length} bytes, more than ${MAX_V2_BYTES}`)
  const client = command === 1 ? v2Family(bytes[13]!) : undefined
  if (client && length < V2_FIXED_BYTES + V2_ADDRESS_BYTES[client]) throw new RejectedHeader('addresses are cut off')
  if (bytes.length < length) return undefined
  return { client: client && v2Source(bytes, client), bytes: length }
}

/** Returns `undefined` for UNSPEC: then the connection's own address counts. @throws RejectedHeader for UDP and Unix sockets */
function v2Family(byte: number): keyof typeof V2_ADDRESS_BYTES | undefined {
  if (byte === 0x11) return 'ipv4'
  if (byte === 0x21) return 'ipv6'
  if (byte === 0x00) return undefined
  throw new RejectedHeader(`unsupported family and protocol 0x${byte.toString(16).padStart(2, '0')}`)
}

function v2Source(bytes: Buffer, family: keyof typeof V2_ADDRESS_BYTES): string {
  if (family === 'ipv4') return [...bytes.subarray(16, 20)].join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(16 + 2 * i).toString(16))
  // A dual-stack HAProxy names IPv4 clients by IPv4-mapped addresses.
  return plainAddress(groups.join(':'))
}

/** Reads the header, and unshifts the bytes that follow it. Resolves to the client's address. */
async function readHeader(socket: Socket, { trusted, timeoutMs = TIMEOUT_MS }: ProxyProtocolOptions): Promise<string> {
  const peer = plainAddress(socket.remoteAddress)
  if (!trusted.has(peer)) throw new RejectedHeader("the sender's address is not in origin.trusted_proxies")
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let received = Buffer.alloc(0)
  const timer = setTimeout(() => reject(new RejectedHeader(`no header within ${timeoutMs} ms`)), timeoutMs)
  const onEnd = () => reject(new RejectedHeader('the connection ended before its header was complete'))
  const onReadable = () => {
    const piece: Buffer | null = socket.read()
    if (piece === null) return
    received = Buffer.concat([received, piece])
    try {
      const header = parseProxyHeader(received)
      if (!header) return
      socket.off('readable', onReadable)
      if (received.length > header.bytes) socket.unshift(received.subarray(header.bytes))
      resolve(header.client ?? peer)
    } catch (error) {
      reject(error)
    }
  }
  socket.on('readable', onReadable).on('error', onEnd).on('end', onEnd).on('close', onEnd)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    socket.off('readable', onReadable).off('error', onEnd).off('end', onEnd).off('close', onEnd)
  }
}

/** The two real endpoints of a connection, whatever its header says. They are unique among open connections. */
export const endpointsOf = (socket: Socket): string => {
  const { remotePort, localAddress, localPort } = socket
  return [Reflect.get(Socket.prototype, 'remoteAddress', socket), remotePort, localAddress, localPort].join(' ')
}

/** Makes the socket report the client's address as its `remoteAddress`. */
function setAddress(socket: Socket, client: string): void {
  Object.defineProperty(socket, 'remoteAddress', { value: client, configurable: true })
}
