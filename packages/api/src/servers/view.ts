/** Server documents with the members of all microversions, of which the contract keeps those of the request's. */
import { createHash } from 'node:crypto'
import { BASE_PATH, type NewestResponse } from '@oriel/contract'
import type { Server, VmState } from '../sources/server.ts'
import { statusOf } from '../sources/status.ts'

type ServerDocument = NewestResponse<'showServer'>['server']
export type ServerReference = NewestResponse<'listServers'>['servers'][number]

/** Id, name and links, for the short list. */
export const referenceTo = (server: Server, base: string): ServerReference => ({
  id: server.id,
  name: server.name,
  links: [
    { rel: 'self', href: `${base}${BASE_PATH}/servers/${server.id}` },
    { rel: 'bookmark', href: `${base}/servers/${server.id}` },
  ],
})

/**
 * The full document. Members that a console service does not know (flavor, image, addresses) are empty, since clients need
 * them.
 */
export function documentOf(server: Server, base: string): ServerDocument {
  return { ...referenceTo(server, base), ...stateOf(server), ...ownerOf(server), ...timesOf(server), ...unknown(base) }
}

function stateOf(server: Server) {
  return {
    status: statusOf(server),
    hostId: server.host === null ? '' : sha224(server.projectId + server.host),
    'OS-EXT-STS:task_state': server.taskState ?? null,
    'OS-EXT-STS:vm_state': server.vmState,
    'OS-EXT-STS:power_state': powerStates[server.vmState],
    locked: server.locked ?? false,
    locked_reason: server.lockedReason ?? null,
  }
}

function ownerOf(server: Server) {
  return {
    tenant_id: server.projectId,
    user_id: server.userId ?? '',
    description: server.description ?? null,
    tags: [...(server.tags ?? [])],
    metadata: {},
  }
}

function timesOf(server: Server) {
  const createdAt = server.createdAt ?? 0
  return {
    created: isoSeconds(createdAt),
    updated: isoSeconds(server.updatedAt ?? createdAt),
    'OS-SRV-USG:launched_at': server.vmState === 'building' ? null : isoSeconds(createdAt).replace('Z', '.000000'),
    'OS-SRV-USG:terminated_at': null,
  }
}

function unknown(base: string) {
  const id = 'unknown'
  const size = { vcpus: 0, ram: 0, disk: 0, ephemeral: 0, swap: 0, original_name: id, extra_specs: {} }
  return {
    image: '',
    flavor: { id, links: [{ rel: 'bookmark', href: `${base}/flavors/${id}` }], ...size },
    addresses: {},
    accessIPv4: '',
    accessIPv6: '',
    key_name: null,
    config_drive: '',
    'OS-DCF:diskConfig': 'MANUAL',
    'OS-EXT-AZ:availability_zone': '',
    'os-extended-volumes:volumes_attached': [],
  }
}

/** Nova's power states: 0 no state, 1 running, 3 paused, 4 shut down, 7 suspended. */
const powerStates = {
  active: 1,
  building: 0,
  paused: 3,
  suspended: 7,
  stopped: 4,
  rescued: 1,
  resized: 1,
  'soft-delete': 4,
  deleted: 4,
  error: 0,
  shelved: 4,
  shelved_offloaded: 4,
} as const satisfies Record<VmState, number>

const isoSeconds = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
const sha224 = (text: string) => createHash('sha224').update(text).digest('hex')
