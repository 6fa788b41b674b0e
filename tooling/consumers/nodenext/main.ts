/** A consumer's program: uses all published packages with Node's module resolution. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ProtocolError } from '@oriel/console'
import { at, LATEST, type Microversion, openapi, routes, versionDocument, versionHeaders } from '@oriel/contract'
import { type ClientAt, createClient, NotFound, OrielError, staticToken } from '@oriel/sdk'
import { fromEnvironment } from '@oriel/sdk/node'

const url = 'http://127.0.0.1:6080/vnc_lite.html?path=%3Ftoken%3Dt'
const server = createServer((request, response) => {
  const answer = (status: number, body: unknown) =>
    response.writeHead(status, versionHeaders(LATEST)).end(JSON.stringify(body))
  if (request.url === '/v2.1/') return answer(200, { version: versionDocument('http://h') })
  if (request.url !== '/v2.1/servers/s/remote-consoles')
    return answer(404, { itemNotFound: { code: 404, message: 'No.' } })
  return answer(200, { remote_console: { protocol: 'vnc', type: 'novnc', url } })
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2.1`

const client = createClient({ endpoint, auth: staticToken('t') })
const created = await client.createConsole('s', 'novnc')
assert.deepEqual(created, { protocol: 'vnc', type: 'novnc', url, pageUrl: url, expiresAt: undefined })
await assert.rejects(client.createConsole('other', 'novnc'), NotFound)

const negotiated: ClientAt<Microversion> = await client.negotiate()
if ('createRemoteConsole' in negotiated) {
  const novnc = { remote_console: { protocol: 'vnc', type: 'novnc' } } as const
  const { remote_console } = await negotiated.createRemoteConsole({ server_id: 's', body: novnc })
  assert.equal(remote_console.url satisfies string, url)
}
// @ts-expect-error 2.5 is the last version with the actions
assert.equal(client.at('2.6').getVncConsole, undefined)
const body = { remote_console: { protocol: 'spice', type: 'spice-direct' } } as const
const later = () => client.at('2.99').createRemoteConsole({ server_id: 's', body })
// @ts-expect-error 2.99 is the first version with spice-direct
const tooEarly = () => client.at('2.98').createRemoteConsole({ server_id: 's', body })
assert.notEqual(later, tooEarly)

assert.ok(createClient(fromEnvironment({ OS_AUTH_TYPE: 'none', OS_ENDPOINT: endpoint })))
assert.equal(at(routes.showVersion.response, '2.1').type, 'object')
assert.equal(openapi('2.99').openapi, '3.1.0')
assert.ok(new ProtocolError('') instanceof OrielError)
server.close()
