/** What Oriel knows of a server: who owns it, what it is doing, and on which host. */

/** Nova's vm_states. */
export const vmStates = [
  'active',
  'building',
  'paused',
  'suspended',
  'stopped',
  'rescued',
  'resized',
  'soft-delete',
  'deleted',
  'error',
  'shelved',
  'shelved_offloaded',
] as const
export type VmState = (typeof vmStates)[number]

/** Whether nothing runs a server in this state. */
export const isOff = (vmState: VmState): boolean => OFF.has(vmState)
const OFF: ReadonlySet<VmState> = new Set(['stopped', 'deleted', 'soft-delete', 'shelved', 'shelved_offloaded'])

/** A server as a source tells it. Times are milliseconds since the epoch. */
export interface Server {
  /** Looked up exactly as written; usually a UUID in lower case. */
  readonly id: string
  readonly name: string
  readonly projectId: string
  readonly userId?: string
  readonly vmState: VmState
  /** Nova's task_state, such as `migrating`; null or absent while nothing happens to the server. */
  readonly taskState?: string | null
  /** The hypervisor's host; null while the server is on none. */
  readonly host: string | null
  readonly locked?: boolean
  readonly lockedReason?: string | null
  readonly description?: string | null
  readonly tags?: readonly string[]
  readonly createdAt?: number
  readonly updatedAt?: number
  /** Since when the hypervisor has not answered; what stands here is its last answer. Absent: it answers. */
  readonly unansweredSince?: number
}
