/**
 * A bare relay, to measure the cost of Node when it moves bytes from one socket to another. Its arguments are the port that it
 * leads to, which leg has TLS (`none`, `client` or `console`), and a folder of `temporaryPki` for the other two.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { endWithParent, listening } from './part.ts'

const [port = '', secured = 'none', pki = ''] = process.argv.slice(2)
const target = { port: Number(port), host: '127.0.0.1', noDelay: true }
const pem = (name: string) => readFileSync(join(pki, `${name}.pem`))
const ca = secured === 'console' ? pem('ca-cert') : undefined
const server =
  secured === 'client'
    ? createTlsServer({ noDelay: true, cert: pem('server-cert'), key: pem('server-key') }, relay)
    : createServer({ noDelay: true }, relay)
await once(server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }), 'listening')
endWithParent()
listening({ tcp: (server.address() as AddressInfo).port })

function relay(client: Socket): void {
  const hypervisor = ca ? connectTls({ ...target, ca }) : connect(target)
  client.on('error', () => hypervisor.destroy()).pipe(hypervisor)
  hypervisor.on('error', () => client.destroy()).pipe(client)
}
