/**
 * A hypervisor whose consoles tick: after the RFB handshake it sends a numbered ServerCutText message every 50 ms, so
 * that a client can detect gaps and losses. Its arguments are the ports to listen on; `0` chooses a free one.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { TICK_MS, tickMessage } from '../chaos/ticks.ts'
import { endWithParent, listening } from './part.ts'
import { handshake } from './rfb-server.ts'

const ports: Record<string, number> = {}
for (const [index, port] of process.argv.slice(2).entries()) ports[index] = await listen(Number(port))
endWithParent()
listening(ports)

async function listen(port: number): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {})
    handshake(socket, () => tick(socket))
  })
  await once(server.listen({ port, host: '127.0.0.1', backlog: 512 }), 'listening')
  return (server.address() as AddressInfo).port
}

function tick(socket: Socket): void {
  let number = 0
  const timer = setInterval(() => socket.write(tickMessage(number++)), TICK_MS)
  socket.resume()
  socket.on('close', () => clearInterval(timer))
}
