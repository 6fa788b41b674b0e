/** An HTTP server on loopback that answers as a test says and remembers what it was asked. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON, text as it is. */
  readonly body?: unknown
}

/** Gives the answer, or writes it by hand and gives nothing. */
export type Script = (asked: Asked, response: ServerResponse) => Answer | undefined | Promise<Answer | undefined>

export interface ScriptedHttpServer extends AsyncDisposable {
  readonly origin: string
  readonly asked: readonly Asked[]
  script: Script
  /** Drops every connection and listens no more; disposing does the same. */
  stop(): Promise<void>
}

/** @param certificate name of a file in `auth-certificates`; without it the server speaks plain HTTP. */
export async function scriptedHttpServer(script: Script, certificate?: string): Promise<ScriptedHttpServer> {
  const asked: Asked[] = []
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url: path = '', headers } = request
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const question = { method, path, headers, body: Buffer.concat(chunks).toString() }
    asked.push(question)
    const answer = await scripted.script(question, response)
    if (answer) send(response, answer)
  }
  const pem = certificate === undefined ? undefined : readFileSync(certificateFile(certificate))
  const server = pem ? createTlsServer({ cert: pem, key: pem }, listener) : createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const stop = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  const scheme = pem ? 'https' : 'http'
  const scripted: ScriptedHttpServer = {
    origin: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    script,
    stop,
    [Symbol.asyncDispose]: stop,
  }
  return scripted
}

export function certificateFile(name: string): string {
  return new URL(`certificates/${name}`, import.meta.url).pathname
}

function send(response: ServerResponse, { status, headers = {}, body }: Answer): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(text)
}
