/** The world in which the recordings were made: who asks, which servers there are, and what their consoles say. */
import { createHash } from 'node:crypto'
import type { Server, VmState } from '@oriel/api'

const project1 = '1'.repeat(32)
const project2 = '2'.repeat(32)

/** A caller whose token a recording sends. Keystone implies roles: an admin is manager, member and reader too. */
export interface Persona {
  readonly name: string
  /** What is sent as the token. */
  readonly token: string
  readonly projectId?: string
  readonly roles: readonly string[]
}

const persona = (name: string, roles: readonly string[], projectId?: string): Persona => ({
  name,
  token: `token-of-${name.replaceAll('_', '-')}`,
  roles,
  ...(projectId === undefined ? {} : { projectId }),
})
const memberRoles = ['member', 'reader']
const managerRoles = ['manager', ...memberRoles]
const adminRoles = ['admin', ...managerRoles]

export const personas: readonly Persona[] = [
  persona('member', memberRoles, project1),
  persona('member2', memberRoles, project1),
  persona('reader', ['reader'], project1),
  persona('manager', managerRoles, project1),
  persona('admin', adminRoles, project1),
  persona('norole', [], project1),
  persona('oddrole', ['oddrole'], project1),
  persona('stranger', memberRoles, project2),
  persona('admin_elsewhere', adminRoles, project2),
  persona('service', ['service'], project2),
  persona('service_and_admin', ['service', ...adminRoles], project2),
  persona('unscoped', []),
  persona('system_admin', adminRoles),
]

/** A token that is never accepted. */
export const expired = persona('expired', [])

/** Every role that a persona has. */
export const everyRole: readonly string[] = [...new Set(personas.flatMap(({ roles }) => roles))]

/** A server of the recordings: its state, and how its driver answers where that is not the usual way. */
export interface WorldServer extends Server {
  /** The name by which recordings ask for it. */
  readonly state: string
  /** What the driver's console calls raise, by the name of Nova's exception. */
  readonly raises?: string
  /** What the console has printed. */
  readonly log: Buffer
}

const taskStates: Readonly<Record<string, string>> = { powering_off: 'powering-off', snapshot: 'image_snapshot' }
const host = 'compute-1'
const usualLog = 'FAKE CONSOLE OUTPUT\nANOTHER\nLAST LINE'

const stateDefinitions: Readonly<Record<string, Partial<WorldServer>>> = {
  active: {},
  shutoff: { vmState: 'stopped' },
  paused: { vmState: 'paused' },
  suspended: { vmState: 'suspended' },
  rescued: { vmState: 'rescued' },
  error: { vmState: 'error' },
  resized: { vmState: 'resized' },
  shelved: { vmState: 'shelved' },
  soft_deleted: { vmState: 'soft-delete' },
  deleted: { vmState: 'deleted' },
  locked: { locked: true },
  admin_locked: { locked: true },
  error_no_host: { vmState: 'error', host: null },
  shelved_offloaded: { vmState: 'shelved_offloaded', host: null },
  building_no_host: { vmState: 'building', taskState: 'scheduling', host: null },
  building_with_host: { vmState: 'building', taskState: 'spawning' },
  build_request: { vmState: 'building', taskState: 'scheduling', host: null },
  task_deleting_no_host: { taskState: 'deleting', host: null },
  other_project: { projectId: project2 },
  drv_not_found: { raises: 'InstanceNotFound' },
  drv_not_implemented: { raises: 'NotImplementedError' },
  drv_type_unavailable: { raises: 'ConsoleTypeUnavailable' },
  drv_no_console: { raises: 'ConsoleNotAvailable' },
  drv_port_range: { raises: 'SocketPortRangeExhaustedException' },
  drv_serial_number_invalid: { raises: 'ImageSerialPortNumberInvalid' },
  drv_serial_number_exceeds: { raises: 'ImageSerialPortNumberExceedFlavorValue' },
  drv_boom: { raises: 'RuntimeError' },
  drv_key_error: { raises: 'KeyError' },
  drv_type_error: { raises: 'TypeError' },
  building_driver_not_found: { vmState: 'building', raises: 'InstanceNotFound' },
  drv_odd_output: { log: Buffer.from('plain\ttab\nesc\x1b[0m nul\0 bell\x07 latin\u00e9 \r end\n') },
  drv_empty_output: { log: Buffer.from('') },
  drv_bytes_output: { log: Buffer.from('utf8 \u00e9\nline2\nline3\n') },
}

/** The server of a state. Its id is made of the state's name, so that every run and every API agree on it. */
export function worldServer(state: string): WorldServer {
  const task = state.startsWith('task_') ? state.slice('task_'.length) : undefined
  const special = stateDefinitions[state] ?? (task === undefined ? undefined : { taskState: taskStates[task] ?? task })
  if (special === undefined) throw new Error(`The recordings have no server in the state ${state}`)
  return {
    state,
    id: idOf(state),
    name: `server-${state.replaceAll('_', '-')}`,
    projectId: project1,
    userId: 'somebody',
    vmState: 'active',
    taskState: null,
    host,
    log: Buffer.from(usualLog),
    ...special,
  }
}

function idOf(state: string): string {
  const hex = createHash('sha256').update(state).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** The API's status names of the states that a static source can tell. */
export const statusOf = {
  active: 'ACTIVE',
  building: 'BUILD',
  paused: 'PAUSED',
  suspended: 'SUSPENDED',
  stopped: 'SHUTOFF',
  rescued: 'RESCUE',
  resized: 'VERIFY_RESIZE',
  'soft-delete': 'SOFT_DELETED',
  deleted: 'DELETED',
  error: 'ERROR',
  shelved: 'SHELVED',
  shelved_offloaded: 'SHELVED_OFFLOADED',
} as const satisfies Record<VmState, string>

/** Where the consoles of the recordings' virtualisation driver are. */
export const consoleHosts = {
  vnc: 'fakevncconsole.com',
  spice: 'fakespiceconsole.com',
  serial: 'fakerdpconsole.com',
  mks: 'fakemksconsole.com',
} as const
export const consolePort = 6969
export const spiceTlsPort = 6970
