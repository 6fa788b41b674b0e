/** Maps QEMU's run states to those of servers. */
import type { VmState } from '../server.ts'

/**
 * The meaning of a RunState. The table has those of `qapi/run-state.json` in QEMU 4.0 to 10, and `unknown` for later ones.
 */
export interface RunStateMeaning {
  readonly vmState: VmState
  readonly taskState: string | null
  /** The reason, for the log and for `docs/sources.md`. */
  readonly reason: string
  /** The guest runs in another process, or is about to. */
  readonly standIn?: boolean
}

export const runStates = {
  running: { vmState: 'active', taskState: null, reason: 'The guest runs.' },
  colo: { vmState: 'active', taskState: null, reason: 'The guest runs, mirrored by COLO.' },
  prelaunch: { vmState: 'paused', taskState: null, reason: 'Started with -S and not continued yet.' },
  preconfig: { vmState: 'building', taskState: null, reason: 'The machine is still being put together.' },
  paused: { vmState: 'paused', taskState: null, reason: 'Paused by a user or a program.' },
  debug: { vmState: 'paused', taskState: null, reason: 'Halted by a debugger.' },
  watchdog: { vmState: 'paused', taskState: null, reason: 'Its watchdog ran out, and that pauses it.' },
  'io-error': { vmState: 'paused', taskState: null, reason: 'A disk failed, and that pauses it.' },
  suspended: { vmState: 'suspended', taskState: null, reason: 'The guest sleeps (S3).' },
  'restore-vm': { vmState: 'suspended', taskState: 'resuming', reason: 'A snapshot is being loaded.' },
  'save-vm': { vmState: 'active', taskState: 'suspending', reason: 'A snapshot is being saved.' },
  inmigrate: { vmState: 'active', taskState: 'migrating', reason: 'Waiting for a migration to arrive.', standIn: true },
  'finish-migrate': {
    vmState: 'active',
    taskState: 'migrating',
    reason: 'A migration is about to leave.',
    standIn: true,
  },
  postmigrate: { vmState: 'stopped', taskState: null, reason: 'The guest has left by migration.', standIn: true },
  shutdown: { vmState: 'stopped', taskState: null, reason: 'Shut down; QEMU stays because of -no-shutdown.' },
  'guest-panicked': { vmState: 'error', taskState: null, reason: 'The guest has panicked.' },
  'internal-error': { vmState: 'error', taskState: null, reason: 'QEMU has an internal error and cannot continue.' },
  unknown: { vmState: 'error', taskState: null, reason: 'A state that this version of Oriel does not know.' },
} as const satisfies Record<string, RunStateMeaning>

export type RunState = keyof typeof runStates

/** Returns the RunState with this name, or `unknown`. */
export const runState = (name: string): RunState => (Object.hasOwn(runStates, name) ? (name as RunState) : 'unknown')
