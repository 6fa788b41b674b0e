/** Maps libvirt's domain states to those of servers. Numbers and names are from `include/libvirt/libvirt-domain.h`. */
import type { VmState } from '../server.ts'

export interface DomainStateMeaning {
  readonly vmState: VmState
  readonly taskState: string | null
  /** Whether a process runs the domain. */
  readonly live: boolean
  /** The domain runs on another host now. */
  readonly hasLeft?: boolean
  readonly reason: string
}

const active = { vmState: 'active', taskState: null, live: true } as const
const paused = { vmState: 'paused', taskState: null, live: true } as const
const stopped = { vmState: 'stopped', taskState: null, live: false } as const

/** virDomainState, and `unknown` for the states of later versions. */
export const domainStates = {
  nostate: { vmState: 'building', taskState: null, live: false, reason: 'The hypervisor does not say.' },
  running: { ...active, reason: 'The guest runs.' },
  blocked: { ...active, reason: 'The guest waits for a resource.' },
  paused: { ...paused, reason: 'Paused.' },
  shutdown: { vmState: 'active', taskState: 'powering-off', live: true, reason: 'The guest is being shut down.' },
  shutoff: { ...stopped, reason: 'The guest is off.' },
  crashed: { vmState: 'error', taskState: null, live: false, reason: 'The guest has crashed.' },
  pmsuspended: { vmState: 'suspended', taskState: null, live: true, reason: 'The guest sleeps (S3).' },
  unknown: {
    vmState: 'error',
    taskState: null,
    live: false,
    reason: 'A state that this version of Oriel does not know.',
  },
} as const satisfies Record<string, DomainStateMeaning>

type DomainState = keyof typeof domainStates

const numbers: readonly DomainState[] = [
  'nostate',
  'running',
  'blocked',
  'paused',
  'shutdown',
  'shutoff',
  'crashed',
  'pmsuspended',
]

/** virDomainPausedReason, by number. */
export const pausedReasons = [
  { ...paused, reason: 'Paused, for an unknown reason.' },
  { ...paused, reason: 'Paused by a user or a program.' },
  { ...paused, vmState: 'active', taskState: 'migrating', reason: 'Paused for a migration.' },
  { ...paused, vmState: 'active', taskState: 'suspending', reason: 'Paused while it is saved.' },
  { ...paused, reason: 'Paused while its memory is dumped.' },
  { ...paused, reason: 'A disk failed, and that pauses it.' },
  { ...paused, reason: 'Its watchdog ran out, and that pauses it.' },
  { ...paused, reason: 'Paused after a snapshot was restored.' },
  { ...paused, taskState: 'powering-off', reason: 'Paused while it shuts down.' },
  { ...paused, reason: 'Paused while a snapshot is made.' },
  { ...paused, vmState: 'error', reason: 'The guest has panicked.' },
  { ...paused, vmState: 'building', reason: 'The domain is starting.' },
  { ...paused, vmState: 'active', taskState: 'migrating', reason: 'Paused for a post-copy migration.' },
  { ...paused, vmState: 'error', reason: 'A post-copy migration has failed.' },
  { ...paused, reason: 'Paused, because a call to the hypervisor failed.' },
] as const satisfies readonly DomainStateMeaning[]

/** virDomainShutoffReason, by number. */
export const shutoffReasons = [
  { ...stopped, reason: 'Off, for an unknown reason.' },
  { ...stopped, reason: 'Shut down.' },
  { ...stopped, reason: 'Destroyed.' },
  { ...stopped, reason: 'Off after a crash.' },
  { ...stopped, hasLeft: true, reason: 'Has left by migration.' },
  { ...stopped, vmState: 'suspended', reason: 'Saved to a file.' },
  { ...stopped, reason: 'Did not start.' },
  { ...stopped, reason: 'Off after a snapshot was restored.' },
  { ...stopped, reason: 'Stopped by the libvirt daemon.' },
] as const satisfies readonly DomainStateMeaning[]

/** Returns the meaning of a state and its reason, as numbers of `virsh domstats --state`. */
export function domainState(state: number, reason: number): DomainStateMeaning {
  const name = numbers[state] ?? 'unknown'
  if (name === 'paused') return pausedReasons[reason] ?? domainStates.paused
  if (name === 'shutoff') return shutoffReasons[reason] ?? domainStates.shutoff
  return domainStates[name]
}
