/** A bare relay that terminates TLS, to measure the cost of Node: `tls-relay.ts PORT TARGET CERT KEY`. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { createServer } from 'node:tls'

const [port, target, cert, key] = process.argv.slice(2) as [string, string, string, string]
const server = createServer({ noDelay: true, cert: readFileSync(cert), key: readFileSync(key) }, (client) => {
  const hypervisor = connect({ port: Number(target), host: '127.0.0.1', noDelay: true })
  client.on('error', () => hypervisor.destroy()).pipe(hypervisor)
  hypervisor.on('error', () => client.destroy()).pipe(client)
})
await once(server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 }), 'listening')
