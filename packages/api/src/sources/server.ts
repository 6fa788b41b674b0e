/** A server: its owner, state and host. */

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

/** Whether a server in this state does not run anywhere. */
export const isOff = (vmState: VmState): boolean => OFF.has(vmState)
const OFF: ReadonlySet<VmState> = new Set(['stopped', 'deleted', 'soft-delete', 'shelved', 'shelved_offloaded'])

/** Whether a server in this state is switched off, and may be switched on again. */
export const isSwitchedOff = (vmState: VmState): boolean => SWITCHED_OFF.has(vmState)
const SWITCHED_OFF: ReadonlySet<VmState> = new Set(['stopped', 'shelved', 'shelved_offloaded'])

/** A server of a source. Times are milliseconds since the epoch. */
export interface Server {
  /** Compared exactly; usually a UUID in lower case. */
  readonly id: string
  readonly name: string
  readonly projectId: string
  readonly userId?: string
  readonly vmState: VmState
  /** Nova's task_state, such as `migrating`. Null or absent if no task runs. */
  readonly taskState?: string | null
  /** The hypervisor's host. Null if the server has none. */
  readonly host: string | null
  readonly locked?: boolean
  readonly lockedReason?: string | null
  readonly description?: string | null
  readonly tags?: readonly string[]
  readonly createdAt?: number
  readonly updatedAt?: number
  /** Since when the hypervisor has not responded; all else here is its last known state. Absent: it responds. */
  readonly unansweredSince?: number
}
