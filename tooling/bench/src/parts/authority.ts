/**
 * Resolves tokens to consoles. `/v2.1` answers like Nova; `/flat/TOKEN` answers in the format of websockify's
 * JSONTokenApi. A token is `PORT.SESSION`, so this process needs no state, and both look-ups cost it the same.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { recordedMicroversions } from '@oriel/testkit'
import { endWithParent, listening } from './part.ts'

const VERSION = {
  version: {
    id: 'v2.1',
    status: 'CURRENT',
    version: recordedMicroversions.max,
    min_version: recordedMicroversions.min,
    updated: '2013-07-23T11:33:21Z',
    links: [],
    'media-types': [],
  },
}

/** Nova's representation of every server. */
const SERVER = {
  name: 'bench',
  status: 'ACTIVE',
  tenant_id: '6f70656e737461636b206d6174746572',
  user_id: 'admin',
  metadata: {},
  hostId: '',
  image: '',
  flavor: { vcpus: 1, ram: 512, disk: 1, ephemeral: 0, swap: 0, original_name: 'm1.tiny', extra_specs: {} },
  created: '2026-01-01T00:00:00Z',
  updated: '2026-01-01T00:00:00Z',
  addresses: {},
  accessIPv4: '',
  accessIPv6: '',
  links: [],
  key_name: null,
  config_drive: '',
  'OS-DCF:diskConfig': 'AUTO',
  'OS-EXT-AZ:availability_zone': 'nova',
  'OS-EXT-SRV-ATTR:instance_name': 'instance-00000001',
  'OS-SRV-USG:launched_at': null,
  'OS-SRV-USG:terminated_at': null,
  'os-extended-volumes:volumes_attached': [],
  'OS-EXT-STS:task_state': null,
  'OS-EXT-STS:vm_state': 'active',
  'OS-EXT-STS:power_state': 1,
  locked: false,
  description: null,
  tags: [],
  locked_reason: null,
}

const http = createServer((request, response) => {
  const [root, resource = '', token = ''] = (request.url ?? '').slice(1).split('/')
  const [port, session = '0'] = (root === 'flat' ? resource : token).split('.')
  const console = { host: '127.0.0.1', port: Number(port), instance_uuid: uuid(session) }
  if (root === 'flat') answer(response, console)
  else if (resource === 'servers') answer(response, server(token))
  else if (token === '') answer(response, VERSION)
  else answer(response, { console: { ...console, internal_access_path: null } })
})
http.keepAliveTimeout = 5_000
await once(http.listen(0, '127.0.0.1'), 'listening')
endWithParent()
listening({ http: (http.address() as AddressInfo).port })

function answer(response: ServerResponse, body: object): void {
  const text = JSON.stringify(body)
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }).end(text)
}

const server = (id: string) => ({ server: { ...SERVER, id } })

/** Returns a different UUID for every session, so that the limits per instance apply as in production. */
function uuid(session: string): string {
  return `00000000-0000-4000-8000-${session.padStart(12, '0')}`
}
