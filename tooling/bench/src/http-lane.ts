/**
 * A persistent connection that sends prepared HTTP requests one at a time, and parses as little of the responses as
 * possible.
 */
import { once } from 'node:events'
import { connect } from 'node:net'

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

export interface HttpLane extends Disposable {
  /** Sends a request, and resolves with the response. @throws if the connection ends first */
  send(request: string): Promise<HttpAnswer>
}

export async function openLane(port: number): Promise<HttpLane> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('latin1')
  await once(socket, 'connect')
  let text = ''
  let waiting: PromiseWithResolvers<HttpAnswer> | undefined
  socket.on('data', (piece: string) => {
    text += piece
    const answer = parse(text)
    if (answer === undefined) return
    text = ''
    waiting?.resolve(answer)
  })
  socket.on('error', () => {})
  socket.on('close', () => waiting?.reject(new Error('the server closed the connection')))
  return {
    send: (request) => {
      waiting = Promise.withResolvers()
      socket.write(request)
      return waiting.promise
    },
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

/** Returns the response once it is complete. @throws if it has no Content-Length */
function parse(text: string): HttpAnswer | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1]
  if (length === undefined) throw new Error(`no Content-Length:\n${text.slice(0, end)}`)
  const body = text.slice(end + 4)
  return body.length < Number(length) ? undefined : { status: Number(text.slice(9, 12)), body }
}

export interface RequestParts {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: object
}

/** Formats a request in ASCII. */
export function requestText({ method, path, port, headers, body }: RequestParts): string {
  const content = body === undefined ? '' : JSON.stringify(body)
  const all = {
    Host: `127.0.0.1:${port}`,
    ...headers,
    ...(body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(content.length) }),
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return `${[`${method} ${path} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n${content}`
}
