/** A local page that leads one browser once to a secret URL, which so appears in no process list. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface OneRedirect {
  readonly url: string
  /** Resolves when a browser was redirected. */
  readonly followed: Promise<void>
  close(): void
}

/** Serves a redirect to `target` on a free port of this machine, at an address that cannot be guessed. */
export async function serveRedirect(target: string): Promise<OneRedirect> {
  const path = `/${randomBytes(24).toString('base64url')}`
  const { promise: followed, resolve } = Promise.withResolvers<void>()
  let used = false
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const isWanted = request.url === path && !used
    used ||= isWanted
    response.writeHead(isWanted ? 302 : 404, isWanted ? { ...PRIVATE, Location: target } : PRIVATE)
    response.end(() => isWanted && resolve())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${port}${path}`, followed, close }
}

const PRIVATE = { 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer', Connection: 'close' }
