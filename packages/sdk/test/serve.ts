/** A real HTTP server on loopback that answers as told and remembers what it was asked. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** An answer; `body` is sent as JSON, `text` as it is. `silence` never answers, `stall` stops within the body, `cut` closes. */
export type Answer = 'silence' | 'stall' | 'cut' | AnswerParts
interface AnswerParts {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly text?: string
}

export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

export interface Served extends AsyncDisposable {
  readonly origin: string
  readonly requests: readonly Received[]
  /** Fulfilled with the first request. */
  readonly received: Promise<void>
}

export async function serve(answer: (request: Received) => Answer | Promise<Answer>): Promise<Served> {
  const requests: Received[] = []
  const first = Promise.withResolvers<void>()
  const server = createServer(async (request, response) => {
    // A client that gives up in the middle of its request hears nothing, and is no fault of the test.
    const sent = await text(request).catch(() => undefined)
    if (sent === undefined) return
    const { method = '', url = '', headers } = request
    const received = { method, path: url, headers, body: sent === '' ? undefined : JSON.parse(sent) }
    requests.push(received)
    first.resolve()
    write(response, await answer(received))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    received: first.promise,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await server
        .close()
        [Symbol.asyncDispose]?.()
        .catch(() => {})
    },
  }
}

function write(response: ServerResponse, answer: Answer): void {
  if (answer === 'silence') return
  if (answer === 'cut') return void response.destroy()
  if (answer === 'stall') return void response.writeHead(200, { 'Content-Length': 100 }).write('{')
  const { status = 200, headers = {}, body = {}, text: plain } = answer
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(plain ?? JSON.stringify(body))
}
