/** Whether a server can have a console, judged by `GET /servers/{id}` alone. */
import type { NewestResponse } from '@oriel/contract'

/** The members of Nova's answer that are read here; every microversion has them. */
export type NovaServer = Pick<
  NewestResponse<'showServer'>['server'],
  | 'id'
  | 'hostId'
  | 'OS-EXT-STS:vm_state'
  | 'OS-EXT-STS:task_state'
  | 'OS-EXT-STS:power_state'
  | 'OS-EXT-SRV-ATTR:instance_name'
>

/**
 * States (nova/compute/vm_states.py) in which a guest is on its host: it runs, is paused, was booted from a rescue image, or
 * awaits the confirmation of a resize. Of the others, `building` has no guest yet; `stopped`, `suspended`, `shelved`,
 * `shelved_offloaded`, `soft-delete` and `deleted` have released their ports; and for `error` Nova itself does not know.
 */
const WITH_GUEST: ReadonlySet<string> = new Set(['active', 'paused', 'rescued', 'resized'])

/**
 * Tasks (nova/compute/task_states.py) that take the guest away: its ports may belong to another guest before the state
 * changes. Reboots and live migrations are left out, because people want to watch these on the console.
 */
const TAKES_GUEST_AWAY: ReadonlySet<string> = new Set([
  'deleting',
  'soft-deleting',
  'powering-off',
  'suspending',
  'shelving',
  'shelving_image_pending_upload',
  'shelving_image_uploading',
  'shelving_offloading',
  'rebuilding',
  'rebuild_block_device_mapping',
  'rebuild_spawning',
  'resize_migrating',
  'resize_migrated',
  'resize_finish',
  'resize_reverting',
  'rescuing',
  'unrescuing',
])

/** Shut down, crashed, suspended (nova/compute/power_state.py): Nova sees these before it changes the state. */
const WITHOUT_POWER: ReadonlySet<number> = new Set([4, 6, 7])

/** Why the server cannot have a console; `undefined` if it can. */
export function stateObjection(server: NovaServer): string | undefined {
  const vmState = server['OS-EXT-STS:vm_state']
  const taskState = server['OS-EXT-STS:task_state']
  const powerState = server['OS-EXT-STS:power_state']
  if (!WITH_GUEST.has(vmState)) return `the server is ${vmState}`
  if (taskState !== null && TAKES_GUEST_AWAY.has(taskState)) return `the server is ${vmState} and ${taskState}`
  if (WITHOUT_POWER.has(powerState) && !isRebooting(taskState)) return `the server's power state is ${powerState}`
  if (server.hostId === '') return 'the server has no host'
  return undefined
}

/** Whether the server is switched off, and may be switched on again. */
export function isSwitchedOff(server: NovaServer): boolean {
  if (SWITCHED_OFF.has(server['OS-EXT-STS:vm_state'])) return true
  const hasGuest = WITH_GUEST.has(server['OS-EXT-STS:vm_state'])
  return hasGuest && SHUT_DOWN.has(server['OS-EXT-STS:power_state']) && !isRebooting(server['OS-EXT-STS:task_state'])
}

const SWITCHED_OFF: ReadonlySet<string> = new Set(['stopped', 'shelved', 'shelved_offloaded'])
/** Shut down, crashed. */
const SHUT_DOWN: ReadonlySet<number> = new Set([4, 6])

const isRebooting = (taskState: string | null) => taskState?.includes('reboot') ?? false
