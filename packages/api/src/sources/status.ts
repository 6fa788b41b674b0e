/** A server's status, derived from vm_state and task_state as in Nova. */
import type { Server, VmState } from './server.ts'

/** The API's status names, as in `openstack server list`. */
export const statuses = [
  'ACTIVE',
  'BUILD',
  'SHUTOFF',
  'PAUSED',
  'SUSPENDED',
  'ERROR',
  'RESCUE',
  'VERIFY_RESIZE',
  'SHELVED',
  'SHELVED_OFFLOADED',
  'SOFT_DELETED',
  'DELETED',
] as const
export type Status = (typeof statuses)[number]

/** The vm_state for each status that can be configured. */
export const vmStateOf = {
  ACTIVE: 'active',
  BUILD: 'building',
  SHUTOFF: 'stopped',
  PAUSED: 'paused',
  SUSPENDED: 'suspended',
  ERROR: 'error',
  RESCUE: 'rescued',
  VERIFY_RESIZE: 'resized',
  SHELVED: 'shelved',
  SHELVED_OFFLOADED: 'shelved_offloaded',
  SOFT_DELETED: 'soft-delete',
  DELETED: 'deleted',
} as const satisfies Record<Status, VmState>

/** The status of a server. */
export function statusOf({ vmState, taskState }: Server): string {
  return whileBusy[vmState]?.[taskState ?? ''] ?? atRest[vmState]
}

const atRest = Object.fromEntries(Object.entries(vmStateOf).map(([status, vmState]) => [vmState, status])) as Record<
  VmState,
  Status
>

const rebuilding = { rebuilding: 'REBUILD', rebuild_block_device_mapping: 'REBUILD', rebuild_spawning: 'REBUILD' }
const resizing = {
  resize_prep: 'RESIZE',
  resize_migrating: 'RESIZE',
  resize_migrated: 'RESIZE',
  resize_finish: 'RESIZE',
}
const whileBusy: Partial<Record<VmState, Readonly<Record<string, string>>>> = {
  active: {
    rebooting: 'REBOOT',
    reboot_pending: 'REBOOT',
    reboot_started: 'REBOOT',
    rebooting_hard: 'HARD_REBOOT',
    reboot_pending_hard: 'HARD_REBOOT',
    reboot_started_hard: 'HARD_REBOOT',
    updating_password: 'PASSWORD',
    migrating: 'MIGRATING',
    ...rebuilding,
    ...resizing,
  },
  stopped: { ...rebuilding, ...resizing },
  error: rebuilding,
  paused: { migrating: 'MIGRATING' },
  resized: { resize_reverting: 'REVERT_RESIZE' },
}
