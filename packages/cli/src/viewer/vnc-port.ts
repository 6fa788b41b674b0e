/** A local TCP port that speaks RFB, for one viewer at a time. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { finished } from 'node:stream/promises'
import type { Again, Closed, Connection } from '../console/dial.ts'
import { Failure, failureOf } from '../failure.ts'
import type { Address } from './viewers.ts'

export interface VncPortOptions {
  readonly listen: Address
  /** Opens a console for a viewer that has connected. */
  readonly open: (again: Again) => Promise<Connection>
  /** Receives sentences for the person at the terminal. */
  readonly say: (text: string) => void
}

/** An open port. */
export interface VncPort {
  readonly address: Address
  /** Resolves once the viewer that is connected has left. The caller closes the port then. */
  idle(): Promise<void>
  close(): void
}

/** Opens the port. Each viewer gets a new console, since a console's token may be good for one connection only. */
export async function openVncPort({ listen, open, say }: VncPortOptions): Promise<VncPort> {
  let current: Promise<void> | undefined
  let isLast = false
  const again = () => (isLast ? 'Run the command again.' : 'Connect the viewer again: the local port still listens.')
  const server = createServer((socket) => {
    socket.on('error', () => {}) // viewers may vanish
    if (current !== undefined) {
      say('a second viewer was refused; close the first one')
      socket.destroy()
      return
    }
    current = serve(socket, { open, say, again }).finally(() => {
      current = undefined
    })
  })
  const idle = async () => {
    isLast = true
    await current
  }
  const address = await listening(server, listen)
  return { address, idle, close: () => void server.close() }
}

async function listening(server: Server, { host, port }: Address): Promise<Address> {
  try {
    await once(server.listen(port, host), 'listening')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'EADDRINUSE' ? 'is in use' : `cannot be opened (${code})`
    throw new Failure('usage', `${host}:${port} ${why}. Choose another --listen; port 0 is a free one.`, { cause })
  }
  return { host, port: (server.address() as AddressInfo).port }
}

interface Serving extends Pick<VncPortOptions, 'open' | 'say'> {
  readonly again: Again
}

async function serve(socket: Socket, { open, say, again }: Serving): Promise<void> {
  socket.setNoDelay()
  try {
    const closed = await relay(socket, await open(again))
    if (closed) say(closed.isNormal ? `${closed.text} ${again()}` : closed.text)
  } catch (error) {
    say(failureOf(error).message)
  } finally {
    socket.destroy()
  }
}

/** Returns the reason for which the console closed, or `undefined` if the viewer left. */
async function relay(socket: Socket, connection: Connection): Promise<Closed | undefined> {
  const { stream } = connection
  stream.pipe(socket)
  socket.pipe(stream, { end: false })
  const viewerGone = finished(socket).catch(() => {})
  const closed = await Promise.race([
    viewerGone,
    finished(stream, { writable: false })
      .catch(() => {})
      .then(() => connection.closed),
  ])
  if (closed === undefined) await connection.close()
  return closed || undefined
}
