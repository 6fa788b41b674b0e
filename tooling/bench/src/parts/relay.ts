/** A bare TCP relay, to measure the cost of Node when it moves bytes from one socket to another. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { endWithParent, listening } from './part.ts'

const port = Number(process.argv[2])
const server = createServer({ noDelay: true }, (client) => {
  const hypervisor = connect({ port, host: '127.0.0.1', noDelay: true })
  client.on('error', () => hypervisor.destroy()).pipe(hypervisor)
  hypervisor.on('error', () => client.destroy()).pipe(client)
})
await once(server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }), 'listening')
endWithParent()
listening({ tcp: (server.address() as AddressInfo).port })
