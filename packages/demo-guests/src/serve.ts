/** A small TCP server that closes all its connections when disposed of. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** The limit of concurrent connections. Further ones are closed at once. */
export const maxViewers = 64

export interface Served extends AsyncDisposable {
  readonly host: string
  readonly port: number
}

/**
 * Listens and passes each connection to `serve`. Disposing of it closes all connections and frees the port.
 *
 * @throws the error of `listen`, such as EADDRINUSE.
 */
export async function serveOn(host: string, port: number, serve: (socket: Socket) => void): Promise<Served> {
  const viewers = new Set<Socket>()
  const server = createServer((socket) => {
    viewers.add(socket)
    socket.once('close', () => viewers.delete(socket))
    serve(socket)
  })
  server.maxConnections = maxViewers
  await once(server.listen({ host, port }), 'listening')
  return {
    host,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = server.listening ? once(server, 'close') : undefined
      server.close()
      for (const socket of viewers) socket.destroy()
      await closed
    },
  }
}
