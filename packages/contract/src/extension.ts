/**
 * Oriel's extension of the API, under `/oriel/v1`: proxies admit and report sessions, people list and end them, and
 * administrators see which hypervisors respond. It has no microversions: members may be added, but not changed. Responses
 * contain no credential, except the access URL of a console that the caller creates, and the password of a console for the
 * proxy that admits its session.
 */
import * as Type from 'typebox'
import { type CloseReasonName, closeReasons } from './close-reasons.ts'
import {
  type ConsoleType,
  consoleTypes,
  type OpenableConsoleType,
  openableConsoleTypes,
  type Protocol,
} from './console-types.ts'
import { KNOWN_REASONS, REASONS_HEADER } from './known-reasons.ts'
import { consoleLabel } from './label.ts'
import type { RefusalName } from './remedies.ts'
import { type ConsoleRole, consoleRoles, ROLES_HEADER } from './roles.ts'

/** The path prefix of the extension. */
export const EXTENSION_PATH = '/oriel/v1'

const closed = <P extends Type.TProperties>(properties: P) => Type.Object(properties, { additionalProperties: false })
const nullable = <S extends Type.TSchema>(schema: S) => Type.Union([schema, Type.Null()])
const literals = <T extends string>(values: readonly T[]) =>
  Type.Unsafe<T>(Type.Union(values.map((v) => Type.Literal(v))))
const id = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9._-]+$' })
const time = Type.String({
  pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?Z$',
  description: 'ISO 8601, UTC.',
})
const bytes = Type.Integer({ minimum: 0 })

const consoleType = literals<ConsoleType>(Object.keys(consoleTypes) as ConsoleType[])
const protocol = literals<Protocol>([...new Set(Object.values(consoleTypes).map((row) => row.protocol))])
const reason = literals<CloseReasonName>(Object.keys(closeReasons) as CloseReasonName[])
const role = literals<ConsoleRole>(consoleRoles)
/**
 * Why a session ended: its close reason, or the refusal if it was admitted but never opened. Any name is accepted, since a
 * newer proxy may report one that this version does not know.
 */
const endReason = Type.Unsafe<EndReason>(Type.String({ pattern: '^[a-z_]{1,32}$' }))

const sharedConsole = Type.Object(
  {
    server_id: Type.String(),
    type: consoleType,
    revision: Type.Integer({ minimum: 0, description: 'Counts the moves of control.' }),
    participants: Type.Array(
      Type.Object({
        id,
        role,
        label: nullable(Type.String()),
        since: time,
        invited: Type.Optional(
          Type.Boolean({ description: "Whether it came with an invitation to another's session." }),
        ),
      }),
      { description: 'Its open sessions at other proxies, the oldest first.' },
    ),
    held_by: nullable(
      Type.String({ description: 'The session that alone has control; null: all whose role is control.' }),
    ),
    ready: Type.Boolean({
      description:
        'Whether that session may send input: not before the proxy of the one that lost control withholds its input.',
    }),
    requested_by: Type.Array(Type.String(), { description: 'Sessions that request control, the earliest first.' }),
  },
  { description: 'A console that sessions at several proxies have open.' },
)

/** Connect info with members that Nova's response lacks: type, expiry, base URL, user and project. */
const admittedConsole = Type.Object({
  instance_uuid: Type.String(),
  instance_name: Type.String(),
  project_id: Type.String(),
  user_id: Type.String(),
  protocol,
  type: consoleType,
  host: Type.String({
    description: 'A name, an address, or unix: and a path on the proxy’s host.',
  }),
  port: nullable(Type.Integer()),
  tls_port: nullable(Type.Integer()),
  internal_access_path: nullable(Type.String()),
  password: Type.Optional(
    Type.String({ description: 'The password of a VNC console on its hypervisor, if the source knows it.' }),
  ),
  base_url: Type.String({ description: "The page's address; its scheme must be the Origin's." }),
  // When the token expires. Absent for a session that resumes another: it has no token.
  expires_at: Type.Optional(time),
  role: Type.Optional(role),
  label: Type.Optional(nullable(Type.String())),
  single_use: Type.Optional(
    Type.Boolean({ description: 'Whether the token is used up once its console is open. Absent: the proxy decides.' }),
  ),
  invited: Type.Optional(
    Type.Boolean({ description: "Whether it came with an invitation to another user's session." }),
  ),
  may_invite: Type.Optional(Type.Boolean({ description: 'Whether its page may invite to the session.' })),
  shared: Type.Optional(sharedConsole),
})

const session = Type.Object({
  id,
  server_id: Type.String(),
  server_name: Type.String(),
  project_id: Type.String(),
  user_id: Type.String(),
  protocol,
  type: consoleType,
  client_address: Type.String(),
  proxy_id: id,
  started_at: time,
  ended_at: nullable(time),
  end_reason: nullable(Type.String({ description: 'A close reason or a refusal by name, or proxy_lost.' })),
  bytes_to_client: bytes,
  bytes_to_console: bytes,
  role: Type.Optional(role),
  label: Type.Optional(nullable(Type.String())),
  invitation_id: Type.Optional(nullable(Type.String({ description: 'The invitation that it came with.' }))),
})

const ttlSeconds = Type.Integer({
  minimum: 1,
  description: 'At most tokens.max_ttl_seconds. Absent: tokens.ttl_seconds.',
})
const url = Type.String({
  description: 'The access URL. It contains the token: give it to its user alone.',
})

const createdConsole = Type.Object({
  protocol,
  type: consoleType,
  role,
  label: nullable(Type.String()),
  single_use: Type.Boolean(),
  url,
  expires_at: time,
})

const invitation = Type.Object({
  id,
  session_id: id,
  server_id: Type.String(),
  type: consoleType,
  role,
  label: nullable(Type.String()),
  created_by: Type.String({ description: 'The user who invited.' }),
  created_at: time,
  expires_at: time,
})

const pageInvitation = Type.Object({
  ...invitation.properties,
  is_used: Type.Boolean({ description: 'Whether its URL has opened its one console.' }),
})

const source = Type.Object({
  kind: Type.String({ description: 'The configured kind of source, such as qemu.' }),
  servers: Type.Integer({ minimum: 0 }),
  answers: Type.Boolean({ description: 'Whether it responds. If not, its servers are in their last known state.' }),
  unanswered: Type.Array(Type.Object({ server_id: Type.String(), since: time }), {
    description: 'Servers whose hypervisor does not respond, in their last known state.',
  }),
})

const serverConsoles = Type.Object({
  id: Type.String(),
  name: Type.String(),
  project_id: Type.String(),
  status: Type.String(),
  consoles: nullable(
    Type.Array(literals<OpenableConsoleType>(openableConsoleTypes), {
      description: 'Null: its source does not know them.',
    }),
  ),
  unavailable: nullable(
    Type.Union([Type.Literal('off'), Type.Literal('building'), Type.Literal('moving'), Type.Literal('deleting')], {
      description: 'Why none of its consoles can be opened now.',
    }),
  ),
  unanswered_since: nullable(time),
})

const serialPort = Type.Object({
  server_id: Type.String(),
  server_name: Type.String(),
  project_id: Type.String(),
  host: Type.String({
    description: 'A name, an address, or unix: and a path on the proxy’s host.',
  }),
  port: nullable(Type.Integer()),
})

const portHolder = Type.Object({
  proxy_id: id,
  since: time,
  sessions: Type.Array(
    Type.Object({ id, user_id: Type.String(), role, label: nullable(Type.String()), started_at: time }),
    { description: 'The sessions that have the port open, the oldest first.' },
  ),
})

const port = Type.Object({
  hold_id: nullable(
    Type.String({ description: 'The hold of this proxy. Null: another proxy holds the port, see held_by.' }),
  ),
  ready: Type.Boolean({
    description: 'Whether to dial the port: not before an earlier holder has closed it.',
  }),
  wait_seconds: Type.Integer({
    minimum: 0,
    description:
      'The longest time until the port is ready; without a hold, how long to ask again, as the holder may be lost.',
  }),
  held_by: nullable(portHolder),
})

const whereabouts = Type.Object({
  console: Type.Object({
    moving: Type.Boolean({ description: 'Whether the server is being migrated to another host.' }),
    address: nullable(Type.Object({ host: Type.String(), port: nullable(Type.Integer()) })),
    // The server is switched off.
    off: Type.Optional(Type.Literal(true)),
  }),
})

const counts = { id, bytes_to_client: bytes, bytes_to_console: bytes }

const proxyAndClient = { proxy_id: id, client_address: Type.String({ minLength: 1, maxLength: 64 }) }

/** Every route of the extension. `policy` names the rule that grants it. */
export const extensionRoutes = {
  admitSession: {
    method: 'POST',
    path: '/sessions',
    policy: 'oriel:sessions:admit',
    summary: 'Admit a session: returns the console of a token, or of an earlier session that a page resumes',
    headers: { [ROLES_HEADER]: consoleRoles.join(', '), [REASONS_HEADER]: KNOWN_REASONS },
    body: Type.Union([
      closed({ token: Type.String({ minLength: 1, maxLength: 256 }), ...proxyAndClient }),
      closed({ resume: closed({ session_id: id }), ...proxyAndClient }),
    ]),
    response: Type.Object({ session: Type.Object({ id, console: admittedConsole }) }),
  },
  locateConsole: {
    method: 'GET',
    path: '/sessions/{session_id}/console',
    policy: 'oriel:sessions:admit',
    summary: "Find a session's console again, after the connection to it has ended",
    response: whereabouts,
  },
  followConsole: {
    method: 'POST',
    path: '/sessions/{session_id}/console',
    policy: 'oriel:sessions:admit',
    summary: 'Continue an open session at the present address of its console, after its server has moved',
    response: whereabouts,
  },
  beat: {
    method: 'PUT',
    path: '/proxies/{proxy_id}',
    policy: 'oriel:sessions:admit',
    summary: "A proxy's heartbeat: reports its open and ended sessions, and returns those to close",
    headers: { [REASONS_HEADER]: KNOWN_REASONS },
    body: closed({
      open: Type.Array(closed(counts), { maxItems: 100_000 }),
      ended: Type.Array(closed({ ...counts, ended_at: time, reason: endReason }), { maxItems: 100_000 }),
      control: Type.Optional(
        Type.Array(closed({ id, since: time, until: Type.Optional(time) }), {
          maxItems: 10_000,
          description:
            'Spans of control, for the audit trail, at their start and end. Only after an answer with takes_control.',
        }),
      ),
    }),
    response: Type.Object({
      beat_seconds: Type.Integer({ minimum: 1, description: 'The interval between heartbeats.' }),
      end: Type.Array(Type.Object({ id, reason })),
      release: Type.Optional(
        Type.Array(Type.String(), {
          description: 'The holds that another proxy has taken over. Their sessions are in end.',
        }),
      ),
      takes_control: Type.Optional(
        Type.Boolean({ description: 'Whether a report may have control. An older API refuses it.' }),
      ),
      shares_consoles: Type.Optional(
        Type.Boolean({
          description: 'Whether other proxies have consoles of this one open. Absent: no.',
        }),
      ),
    }),
  },
  awaitSharedConsoles: {
    method: 'POST',
    path: '/proxies/{proxy_id}/shared-consoles',
    policy: 'oriel:sessions:admit',
    summary: 'The consoles that a proxy shares with other proxies; waits while they are those that it knows',
    body: closed({
      version: Type.Optional(Type.String({ maxLength: 64, description: 'The version of the last answer.' })),
      wait_seconds: Type.Optional(
        Type.Integer({ minimum: 0, maximum: 25, description: 'How long to wait for a change. Absent: 0.' }),
      ),
    }),
    response: Type.Object({ version: Type.String(), consoles: Type.Array(sharedConsole) }),
  },
  moveControl: {
    method: 'POST',
    path: '/proxies/{proxy_id}/control',
    policy: 'oriel:sessions:admit',
    summary: 'Move control of a console to another session, or request control',
    body: Type.Union([
      closed({
        session_id: id,
        from: nullable(id),
        to: nullable(id),
      }),
      closed({
        session_id: id,
        requests: Type.Boolean({ description: 'Whether it requests control, or withdraws that.' }),
      }),
    ]),
    response: Type.Object({ console: sharedConsole }),
  },
  awaitSerialPorts: {
    method: 'POST',
    path: '/proxies/{proxy_id}/serial-ports',
    policy: 'oriel:serial-ports:hold',
    summary: 'The serial ports that a proxy must stay attached to; waits while they are those that the proxy knows',
    body: closed({
      group: Type.Optional(
        Type.String({
          ...{ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9._-]+$' },
          description: 'Equal for processes that share their ports. Absent: there are no others.',
        }),
      ),
      version: Type.Optional(Type.String({ maxLength: 64, description: 'The version of the last answer.' })),
      wait_seconds: Type.Optional(
        Type.Integer({ minimum: 0, maximum: 25, description: 'How long to wait for a change. Absent: 0.' }),
      ),
    }),
    response: Type.Object({
      version: Type.String(),
      serial_ports: Type.Array(serialPort),
      wanted_logs: Type.Optional(
        Type.Array(Type.Object({ server_id: Type.String(), ask_id: id }), {
          description: 'The ports whose output the API wants, for os-getConsoleOutput.',
        }),
      ),
    }),
  },
  confirmSerialPort: {
    method: 'GET',
    path: '/proxies/{proxy_id}/serial-ports/{server_id}',
    policy: 'oriel:serial-ports:hold',
    summary: "A running server's serial port, from its hypervisor, for a proxy that has just dialled it",
    response: Type.Object({ serial_port: serialPort }),
  },
  reportSerialLog: {
    method: 'PUT',
    path: '/proxies/{proxy_id}/serial-ports/{server_id}/log',
    policy: 'oriel:serial-ports:hold',
    summary: 'The last output of a serial port, once the API wants it',
    body: closed({
      ask_id: id,
      log: Type.String({
        ...{ maxLength: 109_300, pattern: '^[A-Za-z0-9+/]*={0,2}$' },
        description: 'At most 80 KiB in base64.',
      }),
    }),
    response: Type.Null(),
  },
  releaseSerialPorts: {
    method: 'DELETE',
    path: '/proxies/{proxy_id}/serial-ports',
    policy: 'oriel:serial-ports:hold',
    summary: 'Give the serial ports of a proxy that stops to the others',
    response: Type.Null(),
  },
  holdPort: {
    method: 'POST',
    path: '/proxies/{proxy_id}/ports',
    policy: 'oriel:sessions:admit',
    summary: 'Hold a console that serves one connection, or one controlling session, before a proxy dials it',
    body: Type.Union([
      closed({
        session_id: id,
        take_over: Type.Optional(
          Type.Boolean({
            description: 'Whether to take it over from another proxy. Not for watchers.',
          }),
        ),
        exclusive: Type.Optional(
          Type.Boolean({
            description:
              'Whether to hold the right to control the console instead of the connection to it. Not for watchers.',
          }),
        ),
      }),
      closed({ server_id: Type.String({ minLength: 1, maxLength: 255 }), type: consoleType }),
    ]),
    response: Type.Object({ port }),
  },
  groupProxy: {
    method: 'PUT',
    path: '/proxies/{proxy_id}/group',
    policy: 'oriel:sessions:admit',
    summary: 'Name the group of processes that share their ports, before one of them opens a console',
    body: closed({ group: id }),
    response: Type.Null(),
  },
  showPort: {
    method: 'GET',
    path: '/proxies/{proxy_id}/ports/{hold_id}',
    policy: 'oriel:sessions:admit',
    summary: 'Show whether a port that a proxy holds may be dialled',
    response: Type.Object({ port }),
  },
  releasePort: {
    method: 'DELETE',
    path: '/proxies/{proxy_id}/ports/{hold_id}',
    policy: 'oriel:sessions:admit',
    summary: 'Release a port, once the connection to it is closed',
    response: Type.Null(),
  },
  listSessions: {
    method: 'GET',
    path: '/sessions',
    policy: 'oriel:sessions:list',
    summary: "List sessions of the caller's project, newest first; of all projects for callers who see all",
    query: closed({
      project_id: Type.Optional(Type.String()),
      server_id: Type.Optional(Type.String()),
      user_id: Type.Optional(Type.String()),
      state: Type.Optional(Type.Union([Type.Literal('open'), Type.Literal('ended')])),
      limit: Type.Optional(Type.String({ pattern: '^[0-9]{1,4}$' })),
      marker: Type.Optional(id),
    }),
    response: Type.Object({ sessions: Type.Array(session) }),
  },
  endSession: {
    method: 'DELETE',
    path: '/sessions/{session_id}',
    policy: 'oriel:sessions:end',
    summary: 'End a session; its proxy closes it within a heartbeat',
    response: Type.Null(),
  },
  createInvitation: {
    method: 'POST',
    path: '/sessions/{session_id}/invitations',
    policy: 'oriel:sessions:invite',
    summary: 'Invite somebody to an open session: returns an access URL, which works once',
    body: closed({ role, ttl_seconds: Type.Optional(ttlSeconds), label: Type.Optional(consoleLabel) }),
    response: Type.Object({ invitation: Type.Object({ ...invitation.properties, url }) }),
  },
  listInvitations: {
    method: 'GET',
    path: '/sessions/{session_id}/invitations',
    policy: 'oriel:sessions:invite',
    summary: 'List the invitations to a session that are not revoked, newest first',
    response: Type.Object({ invitations: Type.Array(invitation) }),
  },
  revokeInvitation: {
    method: 'DELETE',
    path: '/sessions/{session_id}/invitations/{invitation_id}',
    policy: 'oriel:sessions:invite',
    summary: 'Revoke an invitation and end the sessions that came with it',
    response: Type.Null(),
  },
  createPageInvitation: {
    method: 'POST',
    path: '/proxies/{proxy_id}/sessions/{session_id}/invitations',
    policy: 'oriel:sessions:admit',
    summary: "Invite for the page of a proxy's open session: returns an access URL, which works once",
    body: closed({ role, ttl_seconds: Type.Optional(ttlSeconds), label: Type.Optional(consoleLabel) }),
    response: Type.Object({ invitation: Type.Object({ ...pageInvitation.properties, url }) }),
  },
  listPageInvitations: {
    method: 'GET',
    path: '/proxies/{proxy_id}/sessions/{session_id}/invitations',
    policy: 'oriel:sessions:admit',
    summary: "List the invitations to a proxy's session that may be used or were used, newest first",
    response: Type.Object({
      invitations: Type.Array(pageInvitation),
      max_ttl_seconds: Type.Integer({ minimum: 0, description: 'How long a new one may be opened at most.' }),
      max_invitations: Type.Integer({ minimum: 1, description: 'How many a session may have.' }),
    }),
  },
  revokePageInvitation: {
    method: 'DELETE',
    path: '/proxies/{proxy_id}/sessions/{session_id}/invitations/{invitation_id}',
    policy: 'oriel:sessions:admit',
    summary: 'Revoke an invitation for the page of a session, and end the sessions that came with it',
    response: Type.Null(),
  },
  revokeTokens: {
    method: 'DELETE',
    path: '/servers/{server_id}/console-auth-tokens',
    policy: 'oriel:console-auth-tokens:revoke',
    summary: 'Revoke every console auth token of a server and end its sessions',
    response: Type.Null(),
  },
  createConsole: {
    method: 'POST',
    path: '/servers/{server_id}/consoles',
    policy: 'oriel:consoles:create',
    summary: 'Create a console with a role, a lifetime, a label, or for a single use',
    body: closed({
      type: literals<OpenableConsoleType>(openableConsoleTypes),
      role: Type.Optional(role),
      ttl_seconds: Type.Optional(ttlSeconds),
      single_use: Type.Optional(
        Type.Boolean({ description: 'Whether the URL opens one console only. Absent: the proxy decides.' }),
      ),
      may_invite: Type.Optional(
        Type.Boolean({
          description:
            'Whether the console page may invite to the session. Absent: if the caller may, the role is control, and the URL is not for a single use.',
        }),
      ),
      label: Type.Optional(consoleLabel),
    }),
    response: Type.Object({ console: createdConsole }),
  },
  listServersWithConsoles: {
    method: 'GET',
    path: '/servers',
    policy: 'oriel:servers:list',
    summary: "List the caller's servers by name, with the consoles that each has",
    query: closed({
      search: Type.Optional(Type.String({ maxLength: 255, description: 'A part of the name or id.' })),
      status: Type.Optional(Type.String({ maxLength: 32 })),
      limit: Type.Optional(Type.String({ pattern: '^[0-9]{1,4}$', description: 'At most 1000, the default.' })),
      offset: Type.Optional(Type.String({ pattern: '^[0-9]{1,7}$', description: 'How many to skip. Absent: 0.' })),
    }),
    response: Type.Object({
      servers: Type.Array(serverConsoles),
      total: Type.Integer({ minimum: 0 }),
      statuses: Type.Array(Type.Object({ status: Type.String(), servers: Type.Integer({ minimum: 1 }) }), {
        description: 'Of those that match search.',
      }),
      may: Type.Object({
        open: Type.Array(role),
        list_sessions: Type.Boolean(),
        end_sessions: Type.Boolean(),
        show_screenshots: Type.Optional(
          Type.Boolean({ description: 'False also where screenshots are disabled. Absent: an older API.' }),
        ),
      }),
    }),
  },
  showScreenshot: {
    method: 'GET',
    path: '/servers/{server_id}/screenshot',
    policy: 'oriel:screenshots:show',
    summary: "Show a server's screen as a PNG, or as text",
    query: closed({ text: Type.Optional(Type.Literal('1')) }),
    response: Type.Null(),
    media: ['image/png', 'text/plain'],
  },
  listSources: {
    method: 'GET',
    path: '/sources',
    policy: 'oriel:sessions:list',
    summary: 'List the sources of servers, and whether they respond; for callers who see all projects',
    response: Type.Object({ sources: Type.Array(source) }),
  },
} as const satisfies Record<string, ExtensionRoute>

/** A route of the extension. */
export interface ExtensionRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly policy: string
  readonly summary: string
  /** Headers that every request of a client of this version has. */
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: Type.TSchema
  readonly body?: Type.TSchema
  /** `Null`: the response has no body. Its status is 204, or 202 while a proxy has still to act. */
  readonly response: Type.TSchema
  /** The content types of the response, which is not JSON. Absent: it is JSON, by its schema. */
  readonly media?: readonly string[]
}
/** Why a session ended. */
export type EndReason = CloseReasonName | RefusalName
export type ExtensionRoutes = typeof extensionRoutes
export type ExtensionRouteName = keyof ExtensionRoutes
/** The request body of a route of the extension. */
export type ExtensionBody<Name extends ExtensionRouteName> = ExtensionRoutes[Name] extends {
  body: infer S extends Type.TSchema
}
  ? Type.Static<S>
  : never
/** The query of a route of the extension that accepts one. */
export type ExtensionQuery<Name extends ExtensionRouteName> = ExtensionRoutes[Name] extends {
  query: infer S extends Type.TSchema
}
  ? Type.Static<S>
  : never
/** The response body of a route of the extension. */
export type ExtensionResponse<Name extends ExtensionRouteName> = Type.Static<ExtensionRoutes[Name]['response']>
/** A proxy's hold of a console that serves one connection. */
export type HeldPort = Type.Static<typeof port>
/** A server in a list, with its consoles. */
export type ServerConsoles = Type.Static<typeof serverConsoles>
/** A session in a list. */
export type Session = Type.Static<typeof session>
/** An invitation to a session. */
export type Invitation = Type.Static<typeof invitation>
/** An invitation to a session, for its proxy. */
export type PageInvitation = Type.Static<typeof pageInvitation>
/** A console that sessions at several proxies have open, as one of the proxies sees it. */
export type SharedConsole = Type.Static<typeof sharedConsole>
/** The serial port of a running server, for the proxy that stays attached to it. */
export type SerialPort = Type.Static<typeof serialPort>
/** The console of an admitted session, for the proxy. An absent `role` is `control`. */
export type AdmittedConsole = Type.Static<typeof admittedConsole>
