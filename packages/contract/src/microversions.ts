/**
 * The API, microversion by microversion. This is the only source file with version numbers in it: to add a microversion,
 * raise `LATEST`, add a line to `history` if a console contract changes, and mark members that are added or removed with `since`
 * and `until`. Never edit what an older line means.
 *
 * Bodies are validated as Nova validates them, with `protocol` and `type` as two independent enumerations: a pair that
 * does not fit is refused only after the server was found. `types` narrows the same bodies to the pairs that exist, for
 * the SDK and the handlers.
 */
import * as Type from 'typebox'
import { type ConsoleType, consoleTypes, type Protocol } from './console-types.ts'
import { spans, type UpTo } from './versioned.ts'

export const EARLIEST = '2.1'
export const LATEST = '2.104'
/** Every microversion that is served. */
export type Microversion = UpTo<typeof LATEST>

/** The id and path segment of the one API version that has microversions. */
export const API_VERSION = 'v2.1'
/** The path below which that API stands. */
export const BASE_PATH = `/${API_VERSION}`

/** The microversions that change what this contract covers. A test holds the list to what `routes` really does. */
export const history = {
  '2.1': 'One server action for each protocol: os-getVNCConsole and its siblings.',
  '2.6': 'POST /servers/{server_id}/remote-consoles replaces the actions.',
  '2.8': 'Protocol mks with type webmks.',
  '2.9': 'Servers say whether they are locked.',
  '2.19': 'Servers carry a description.',
  '2.26': 'Servers carry tags.',
  '2.31': 'GET /os-console-auth-tokens/{console_token} for every console type, not only rdp-html5.',
  '2.47': 'Servers embed their flavor instead of linking to it.',
  '2.73': 'Servers say why they are locked.',
  '2.99':
    'Type spice-direct; tls_port in connect info; unknown query parameters of os-console-auth-tokens are refused.',
} as const satisfies Partial<Record<Microversion, string>>

/** Every microversion, from the earliest to the latest. */
export const microversions = countUp(EARLIEST, LATEST)

/** Whether `text` is a microversion that is served. */
export const isMicroversion = (text: string): text is Microversion => known.has(text)

function countUp(first: string, last: string): readonly Microversion[] {
  const [major, from] = first.split('.')
  const to = Number(last.split('.')[1])
  return Array.from({ length: to - Number(from) + 1 }, (_, i) => `${major}.${Number(from) + i}` as Microversion)
}
const known: ReadonlySet<string> = new Set(microversions)

const { since, until } = spans(LATEST)

const closed = <P extends Type.TProperties>(properties: P, options: Type.TObjectOptions = {}) =>
  Type.Object(properties, { ...options, additionalProperties: false })
const nullable = <S extends Type.TSchema>(schema: S) => Type.Union([schema, Type.Null()])
const url = Type.String({ description: 'The access URL, with a console auth token inside.' })
const gone = (reason: string) => ({ deprecated: true, description: reason })

/** Returns `schema`. Compiles only if it has every name in `All`; otherwise the compiler's message says which it `lacks`. */
const complete =
  <All extends string>() =>
  <S extends Type.TSchema>(schema: S & Lacking<Exclude<All, NamesIn<Type.Static<S>>>>): S =>
    schema
type Lacking<Names> = [Names] extends [never] ? unknown : { readonly lacks: Names }
type NamesIn<Value> = Value extends { remote_console: { type: infer Name } } ? Name : Value

const protocol = complete<Protocol>()(
  Type.Union([
    Type.Literal('vnc'),
    Type.Literal('spice'),
    Type.Literal('serial'),
    Type.Literal('rdp', gone('Accepted only to be refused with 400.')),
    since('2.8', Type.Literal('mks')),
  ]),
)
const type = complete<ConsoleType>()(
  Type.Union([
    Type.Literal('novnc'),
    Type.Literal('xvpvnc', gone('Accepted only to be refused with 400. Use novnc.')),
    Type.Literal('spice-html5'),
    Type.Literal('serial'),
    Type.Literal('rdp-html5', gone('Accepted only to be refused with 400.')),
    since('2.8', Type.Literal('webmks')),
    since('2.99', Type.Literal('spice-direct')),
  ]),
)

type ProtocolOf<T extends ConsoleType> = (typeof consoleTypes)[T]['protocol']
const pair = <T extends ConsoleType, X extends Type.TProperties>(t: T, extra: X) =>
  closed({ protocol: Type.Literal<ProtocolOf<T>>(consoleTypes[t].protocol), type: Type.Literal(t), ...extra })
const remoteConsole = <X extends Type.TProperties>(extra: X) =>
  closed({
    remote_console: Type.Union([
      pair('novnc', extra),
      pair('spice-html5', extra),
      pair('serial', extra),
      since('2.8', pair('webmks', extra)),
      since('2.99', pair('spice-direct', extra)),
      closed({
        protocol: Type.Literal('vnc'),
        /** @deprecated The XVP service behind it is gone: the answer is always 400. Ask for `novnc`. */
        type: Type.Literal('xvpvnc'),
        ...extra,
      }),
      closed({
        protocol: Type.Literal('rdp'),
        /** @deprecated No hypervisor offers RDP any more: the answer is always 400. */
        type: Type.Literal('rdp-html5'),
        ...extra,
      }),
    ]),
  })

const link = Type.Object({ rel: Type.String(), href: Type.String(), type: Type.Optional(Type.String()) })
const serverReference = Type.Object({ id: Type.String(), name: Type.String(), links: Type.Array(link) })
const server = Type.Object({
  id: Type.String(),
  name: Type.String(),
  status: Type.String({ description: 'ACTIVE, BUILD, SHUTOFF and so on.' }),
  tenant_id: Type.String(),
  user_id: Type.String(),
  metadata: Type.Object({}),
  hostId: Type.String({ description: 'The empty string while the server is on no host.' }),
  image: Type.Union([Type.Object({ id: Type.String(), links: Type.Array(link) }), Type.String()]),
  flavor: Type.Union([
    until('2.46', Type.Object({ id: Type.String(), links: Type.Array(link) })),
    since(
      '2.47',
      Type.Object({
        vcpus: Type.Integer(),
        ram: Type.Integer({ description: 'MiB' }),
        disk: Type.Integer({ description: 'GiB' }),
        ephemeral: Type.Integer({ description: 'GiB' }),
        swap: Type.Integer({ description: 'MiB' }),
        original_name: Type.String(),
        extra_specs: Type.Object({}),
      }),
    ),
  ]),
  created: Type.String({ description: 'ISO 8601, UTC, to the second.' }),
  updated: Type.String({ description: 'ISO 8601, UTC, to the second.' }),
  addresses: Type.Object({}),
  accessIPv4: Type.String(),
  accessIPv6: Type.String(),
  links: Type.Array(link),
  key_name: nullable(Type.String()),
  config_drive: Type.String(),
  'OS-DCF:diskConfig': Type.String(),
  'OS-EXT-AZ:availability_zone': Type.String(),
  'OS-SRV-USG:launched_at': nullable(Type.String()),
  'OS-SRV-USG:terminated_at': nullable(Type.String()),
  'os-extended-volumes:volumes_attached': Type.Array(Type.Object({ id: Type.String() })),
  'OS-EXT-STS:task_state': nullable(Type.String()),
  'OS-EXT-STS:vm_state': Type.String(),
  'OS-EXT-STS:power_state': Type.Integer(),
  'OS-EXT-SRV-ATTR:instance_name': Type.Optional(
    Type.String({ description: 'What the hypervisor calls the server. Shown to administrators alone.' }),
  ),
  locked: since('2.9', Type.Boolean()),
  description: since('2.19', nullable(Type.String())),
  tags: since('2.26', Type.Array(Type.String())),
  locked_reason: since('2.73', nullable(Type.String())),
})
const versionDocument = Type.Object({
  id: Type.String(),
  status: Type.String(),
  version: Type.String(),
  min_version: Type.String(),
  updated: Type.String(),
  links: Type.Array(link),
  'media-types': Type.Optional(Type.Array(Type.Object({ base: Type.String(), type: Type.String() }))),
})

const ACTION = '/servers/{server_id}/action'
const CONSOLES = 'os_compute_api:os-remote-consoles'

/** A legacy console action. Its own protocol's types are all that it accepts, the gone ones with the living. */
const consoleAction = <A extends string, T extends Type.TSchema>(action: A, types: T, summary: string) =>
  until('2.5', {
    method: 'POST',
    path: ACTION,
    action,
    policy: CONSOLES,
    summary,
    body: closed({ [action]: closed({ type: types }) } as { [K in A]: Type.TObject<{ type: T }> }),
    response: closed({ console: closed({ type: types, url }) }),
  } as const)

/**
 * Every route: where it stands, what it takes and answers, who may (`policy`, a rule's name), and what it answers outside
 * its span (`outside`, 404 unless given). `action` names the member of the body that chooses among routes on one path.
 */
export const routes = {
  getVncConsole: consoleAction(
    'os-getVNCConsole',
    Type.Union([Type.Literal('novnc'), Type.Literal('xvpvnc', gone('Accepted only to be refused with 400.'))]),
    'Create a VNC console',
  ),
  getSpiceConsole: consoleAction('os-getSPICEConsole', Type.Literal('spice-html5'), 'Create a SPICE console'),
  getSerialConsole: consoleAction('os-getSerialConsole', Type.Literal('serial'), 'Create a serial console'),
  /** @deprecated No hypervisor offers RDP any more: the answer is always 400. */
  getRdpConsole: consoleAction('os-getRDPConsole', Type.Literal('rdp-html5'), 'Create an RDP console: always 400'),
  getConsoleOutput: {
    method: 'POST',
    path: ACTION,
    action: 'os-getConsoleOutput',
    policy: 'os_compute_api:os-console-output',
    summary: 'Show what the console has printed',
    body: closed({
      'os-getConsoleOutput': closed({
        length: Type.Optional(
          Type.Union([Type.Integer({ minimum: -1 }), Type.String({ pattern: '^-?[0-9]+$' }), Type.Null()], {
            description: 'How many lines from the end; absent, null or -1: all.',
          }),
        ),
      }),
    }),
    response: closed({ output: Type.String() }),
  },
  createRemoteConsole: since('2.6', {
    method: 'POST',
    path: '/servers/{server_id}/remote-consoles',
    policy: CONSOLES,
    summary: 'Create a console',
    body: closed({ remote_console: closed({ protocol, type }) }),
    response: closed({ remote_console: closed({ protocol, type, url }) }),
    types: { body: complete<ConsoleType>()(remoteConsole({})), response: remoteConsole({ url }) },
  } as const),
  showConsoleAuthToken: since('2.31', {
    method: 'GET',
    path: '/os-console-auth-tokens/{console_token}',
    policy: 'os_compute_api:os-console-auth-tokens',
    summary: 'Show the connect info of a console auth token',
    outside: 400,
    query: Type.Union([until('2.98', Type.Object({})), since('2.99', closed({}))]),
    response: closed({
      console: closed({
        instance_uuid: Type.String(),
        host: nullable(Type.String()),
        port: nullable(Type.Integer()),
        internal_access_path: nullable(Type.String()),
        tls_port: since(
          '2.99',
          Type.Optional(nullable(Type.Integer({ description: 'There for tokens of type spice-direct alone.' }))),
        ),
      }),
    }),
  } as const),
  listServers: {
    method: 'GET',
    path: '/servers',
    policy: 'os_compute_api:servers:index',
    summary: 'List servers',
    response: Type.Object({ servers: Type.Array(serverReference), servers_links: Type.Optional(Type.Array(link)) }),
  },
  listServersDetail: {
    method: 'GET',
    path: '/servers/detail',
    policy: 'os_compute_api:servers:detail',
    summary: 'List servers with details',
    response: Type.Object({ servers: Type.Array(server), servers_links: Type.Optional(Type.Array(link)) }),
  },
  showServer: {
    method: 'GET',
    path: '/servers/{server_id}',
    policy: 'os_compute_api:servers:show',
    summary: 'Show a server',
    response: Type.Object({ server }),
  },
  showVersion: {
    method: 'GET',
    path: '/',
    summary: 'Show the API version and its microversions',
    response: Type.Object({ version: versionDocument }),
  },
} as const satisfies Record<string, Route>

/** What every route says of itself. */
export interface Route {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly summary: string
  readonly action?: string
  readonly policy?: string
  readonly outside?: 400 | 404
  readonly query?: Type.TSchema
  readonly body?: Type.TSchema
  readonly response: Type.TSchema
  readonly types?: { readonly body: Type.TSchema; readonly response: Type.TSchema }
}
export type Routes = typeof routes
export type RouteName = keyof Routes
