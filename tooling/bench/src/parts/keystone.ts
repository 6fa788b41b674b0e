/**
 * A stub of Keystone that accepts every user. Signing in as NAME returns the token `token-of-NAME`, which stays valid
 * across restarts. Its argument is the port to listen on; `0` chooses a free one.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { endWithParent, listening } from './part.ts'

const PROJECT = '6f70656e737461636b206d6174746572'
const PREFIX = 'token-of-'
const ROLES: Readonly<Record<string, readonly string[]>> = { alice: ['member'], oriel: ['admin', 'service'] }

const server = createServer((request, response) => void answer(request, response))
await once(server.listen(Number(process.argv[2]), '127.0.0.1'), 'listening')
endWithParent()
listening({ http: (server.address() as AddressInfo).port })

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!request.url?.startsWith('/v3/auth/tokens')) return send(response, 404, {})
  const name = request.method === 'POST' ? nameOf(await json(request)) : subjectOf(request)
  if (ROLES[name] === undefined) return send(response, request.method === 'POST' ? 401 : 404, {})
  response.setHeader('X-Subject-Token', PREFIX + name)
  send(response, request.method === 'POST' ? 201 : 200, { token: describe(name) })
}

const nameOf = (body: unknown) =>
  (body as { auth: { identity: { password: { user: { name: string } } } } }).auth.identity.password.user.name

const subjectOf = (request: IncomingMessage) => String(request.headers['x-subject-token']).slice(PREFIX.length)

const describe = (name: string) => ({
  issued_at: new Date().toISOString(),
  expires_at: new Date(Date.now() + 3_600_000).toISOString(),
  user: { id: name, name, domain: { id: 'default', name: 'Default' } },
  project: { id: PROJECT, name: 'service', domain: { id: 'default', name: 'Default' } },
  roles: ROLES[name]!.map((role) => ({ id: role, name: role })),
  catalog: [],
  methods: ['password'],
})

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}
