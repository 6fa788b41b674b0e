/**
 * One HTTP/1.1 exchange over a plain socket: recordings depend on details that HTTP libraries add or normalise, such as an
 * `Accept` header, the spelling of header names, dot segments in paths and repeated headers.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { VectorRequest } from './vectors.ts'

export interface Answer {
  readonly status: number
  /** In the order and spelling of the response. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
}

/** How long one exchange may take. */
const timeoutMs = 15_000
/** Far more than any response of this API has. */
const maxAnswerBytes = 4 * 1024 * 1024

/** Sends `request`, whose placeholders are filled, to `address` (host:port) and reads the response. */
export async function exchange(address: string, request: VectorRequest): Promise<Answer> {
  const { hostname, port } = new URL(`http://${address}`)
  const socket = connect({ host: hostname, port: Number(port) })
  const deadline = setTimeout(() => socket.destroy(new Error(`No answer within ${timeoutMs} ms`)), timeoutMs)
  try {
    await once(socket, 'connect')
    const answer = readAll(socket)
    socket.write(message(request, address))
    return parse(await answer, request.method)
  } finally {
    clearTimeout(deadline)
    socket.destroy()
  }
}

/** The value of a header, with several lines joined by commas. */
export function header(answer: Answer, name: string): string | undefined {
  const values = headerLines(answer, name)
  return values.length === 0 ? undefined : values.join(', ')
}

/** Every line of a header. */
export const headerLines = ({ headers }: Answer, name: string) =>
  headers.filter(([other]) => other.toLowerCase() === name.toLowerCase()).map(([, value]) => value)

/** The bytes of a recorded request's body, padding included. */
export function bodyOf({ body, body_encoding, body_pad }: VectorRequest): Buffer | undefined {
  if (body === null && body_pad === undefined) return undefined
  const start = Buffer.from(body ?? '', body_encoding === 'base64' ? 'base64' : 'utf8')
  return body_pad ? Buffer.concat([start, Buffer.from(body_pad.char.repeat(body_pad.count))]) : start
}

function message(request: VectorRequest, address: string): Buffer {
  const body = bodyOf(request)
  const given = Object.entries(request.headers).flatMap(([name, value]) => [value].flat().map((one) => [name, one]))
  const hasHost = given.some(([name]) => name!.toLowerCase() === 'host')
  const lines = [
    `${request.method} ${request.path} HTTP/1.1`,
    ...(hasHost ? [] : [`Host: ${address}`]),
    ...given.map(([name, value]) => `${name}: ${value}`),
    ...framing(request, body),
    'Connection: close',
  ]
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'utf8')
  return Buffer.concat([head, isChunked(request) ? chunked(body) : (body ?? Buffer.alloc(0))])
}

function framing(request: VectorRequest, body: Buffer | undefined): string[] {
  if (isChunked(request)) return ['Transfer-Encoding: chunked']
  if (request.framing === 'no Content-Length') return []
  if (request.framing?.startsWith('Content-Length')) return [request.framing]
  return body === undefined ? [] : [`Content-Length: ${body.length}`]
}

/** Whether the body was sent in chunks. */
export const isChunked = ({ framing = '' }: VectorRequest) => framing.toLowerCase().includes('chunked')

function chunked(body: Buffer = Buffer.alloc(0)): Buffer {
  const chunk = body.length === 0 ? [] : [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]
  return Buffer.concat([...chunk, Buffer.from('0\r\n\r\n')])
}

async function readAll(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  try {
    for await (const part of socket as AsyncIterable<Buffer>) {
      parts.push(part)
      size += part.length
      if (size > maxAnswerBytes) throw new Error(`The answer is longer than ${maxAnswerBytes} bytes`)
    }
  } catch (error) {
    // A server that refuses a large body may reset the connection after its response.
    if (size === 0 || (error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
  }
  return Buffer.concat(parts)
}

function parse(bytes: Buffer, method: string): Answer {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) throw new Error(`No complete answer, only ${JSON.stringify(bytes.toString('latin1').slice(0, 200))}`)
  const [statusLine, ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(statusLine!)?.[1]
  if (status === undefined) throw new Error(`Not an HTTP status line: ${statusLine}`)
  const rest = bytes.subarray(end + 4)
  if (status === '100') return parse(rest, method)
  const headers = lines.map(splitHeader)
  const answer = { status: Number(status), headers, body: rest }
  return { ...answer, body: method === 'HEAD' ? Buffer.alloc(0) : content(answer) }
}

function splitHeader(line: string): readonly [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
}

function content(answer: Answer): Buffer {
  if (header(answer, 'transfer-encoding')?.toLowerCase() === 'chunked') return unchunked(answer.body)
  const length = header(answer, 'content-length')
  return length === undefined ? answer.body : answer.body.subarray(0, Number(length))
}

function unchunked(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16)
    if (lineEnd < 0 || Number.isNaN(size)) throw new Error('The answer ends inside its chunks')
    if (size === 0) return Buffer.concat(parts)
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
}
