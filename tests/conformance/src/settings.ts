/** From Nova's options and policy rules, as a recording names them, to Oriel's configuration. */
import { createHash } from 'node:crypto'
import { openableConsoleTypes } from '@oriel/contract'
import { stringify } from 'smol-toml'
import type { Setup } from './vectors.ts'
import { consoleHosts, consolePort, everyRole, personas, spiceTlsPort, statusOf, type WorldServer } from './world.ts'

type Table = Record<string, unknown>
type Change = (config: ConfigTables, value: unknown) => void
interface ConfigTables extends Table {
  policy: Record<string, readonly string[]>
  tokens: Table
  consoles: Record<string, { enabled: boolean; base_url: string }>
}

/** Recordings with the same key share one API. */
export const settingsKey = ({ config = {}, rules = {} }: Setup) => JSON.stringify([config, rules])

/** The API's configuration for `setup`, without sources. */
export function settings({ config = {}, rules = {} }: Setup): ConfigTables {
  const tables = defaults()
  for (const [option, value] of Object.entries(config)) changeFor(option)(tables, value)
  for (const [rule, check] of Object.entries(rules)) tables.policy[rule] = rolesFor(rule, check)
  return tables
}

/** `settings` as a file, with `servers` as a static source. `logFile` says where the console log of a server is. */
export function settingsFile(
  setup: Setup,
  store: string,
  servers: readonly WorldServer[],
  logFile: (server: WorldServer) => string,
): string {
  const tables = settings(setup)
  return stringify({
    ...tables,
    listen: '127.0.0.1:0',
    tokens: { ...tables.tokens, store },
    sources: [{ kind: 'static', servers: servers.map((server) => staticServer(server, logFile(server))) }],
  })
}

/** Where the recordings' Nova sent clients for a token. */
export const keystoneUri = 'http://keystone.example/identity'

/** What the recordings' Nova had without options: every console on, at its default address; Nova's default policy. */
function defaults(): ConfigTables {
  return {
    auth: { method: 'static', static: { tokens: personas.map(staticToken), www_authenticate_uri: keystoneUri } },
    policy: { ...defaultPolicy },
    tokens: {},
    consoles: {
      ...Object.fromEntries(openableConsoleTypes.map((type) => [type, absentThere])),
      novnc: { enabled: true, base_url: 'http://127.0.0.1:6080/vnc_auto.html' },
      'spice-html5': { enabled: true, base_url: 'http://127.0.0.1:6082/spice_auto.html' },
      'spice-direct': { enabled: true, base_url: 'http://127.0.0.1:13002/nova' },
      serial: { enabled: true, base_url: 'ws://127.0.0.1:6083/' },
      webmks: { enabled: true, base_url: 'http://127.0.0.1:6090/' },
    },
  }
}

/** A console type that the recorded Nova did not have. */
const absentThere = { enabled: false, base_url: 'http://127.0.0.1/' }

/** Nova's default policy, in roles. */
export const defaultPolicy: Readonly<Record<string, readonly string[]>> = {
  'os_compute_api:os-remote-consoles': ['member', 'admin'],
  'os_compute_api:os-console-output': ['member', 'admin'],
  'os_compute_api:os-console-auth-tokens': ['admin'],
}

const enabled =
  (...types: readonly string[]): Change =>
  ({ consoles }, value) => {
    for (const type of types) consoles[type] = { ...consoles[type]!, enabled: value === true }
  }
const baseUrl =
  (type: string): Change =>
  ({ consoles }, value) => {
    consoles[type] = { ...consoles[type]!, base_url: String(value) }
  }
/** Options that have no counterpart in Oriel: `decisions.ts` says what it answers instead. */
const without: Change = () => undefined

const changes: Readonly<Record<string, Change>> = {
  'vnc.enabled': enabled('novnc'),
  'vnc.novncproxy_base_url': baseUrl('novnc'),
  'spice.enabled': enabled('spice-html5', 'spice-direct'),
  'spice.html5proxy_base_url': baseUrl('spice-html5'),
  'spice.spice_direct_proxy_base_url': baseUrl('spice-direct'),
  'serial_console.enabled': enabled('serial'),
  'serial_console.base_url': baseUrl('serial'),
  'mks.enabled': enabled('webmks'),
  'mks.mksproxy_base_url': baseUrl('webmks'),
  'consoleauth.token_ttl': ({ tokens }, value) => {
    tokens.ttl_seconds = value
  },
  'api.compute_link_prefix': (config, value) => {
    config.public_url = value
  },
  'oslo_policy.enforce_new_defaults': ({ policy }, value) => {
    if (value !== false) return
    policy['os_compute_api:os-remote-consoles'] = everyRole
    policy['os_compute_api:os-console-output'] = everyRole
  },
  'api.response_validation': without,
  'oslo_middleware.enable_proxy_headers_parsing': without,
  'oslo_middleware.max_request_body_size': without,
}

function changeFor(option: string): Change {
  const change = changes[option]
  if (change === undefined) throw new Error(`Nova's option ${option} has no place here yet`)
  return change
}

/** Roles that grant what Nova's rule grants. Oriel itself confines all callers except admins to their own project. */
function rolesFor(rule: string, check: string): readonly string[] {
  if (check === '!') return []
  if (check === '@' || check === 'project_id:%(project_id)s') return everyRole
  if (check.startsWith('role:')) return [check.slice('role:'.length)]
  return defaultPolicy[rule] ?? []
}

function staticToken({ name, token, projectId, roles }: (typeof personas)[number]): Table {
  return {
    sha256: createHash('sha256').update(token).digest('hex'),
    user_id: name,
    ...(projectId === undefined ? {} : { project_id: projectId }),
    roles,
  }
}

function staticServer(server: WorldServer, logFile: string): Table {
  const at = (host: string) => ({ host, port: consolePort })
  return {
    id: server.id,
    name: server.name,
    project_id: server.projectId,
    status: statusOf[server.vmState],
    ...(server.taskState ? { task_state: server.taskState } : {}),
    locked: server.locked ?? false,
    host: server.host ?? '',
    console_log: logFile,
    consoles: {
      vnc: at(consoleHosts.vnc),
      spice: { ...at(consoleHosts.spice), tls_port: spiceTlsPort },
      serial: at(consoleHosts.serial),
      mks: at(consoleHosts.mks),
    },
  }
}
