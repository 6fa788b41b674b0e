/** An example of each route of the extension, and the refusals that it has beyond those of all routes. */
import type { ExtensionBody, ExtensionResponse, ExtensionRouteName, SharedConsole } from './extension.ts'

/** Typed by the schemas, so that an example that a change of the contract makes wrong does not compile. */
export type ExtensionExample<Name extends ExtensionRouteName> = {
  readonly response: ExtensionResponse<Name>
  /** The reasons by status. */
  readonly refusals?: Readonly<Record<number, string>>
} & ([ExtensionBody<Name>] extends [never] ? object : { readonly body: ExtensionBody<Name> })

const serverId = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const sessionId = '0b7c2a1e-5a53-4c0e-9d0e-6d8b6f0c1a77'
const invitationId = 'c1f0b8de-3b0b-4a0e-8f4b-0a3f3f6f7a10'
const holdId = '5d0c2f5e-1c43-4f0b-9d5c-7a1d7c1b9e10'
const projectId = '6f70656e737461636b20342065766572'
const proxyId = 'proxy-1'
const clientAddress = '198.51.100.7'
const token = '9f8c5b3e-0d3e-4b0c-9d53-0c6d0a4f1f6e'
const url = `https://consoles.example/vnc_lite.html?path=%3Fserver%3D${serverId}%26token%3D${token}`
const [startedAt, endedAt, expiresAt] = ['2026-11-28T09:00:00Z', '2026-11-28T09:12:30Z', '2026-11-28T09:10:00Z']
const noSession = 'There is no such session, or the caller may not see it.'
const noSessionHere = 'The proxy has no such session.'
const noServer = 'There is no such server, or the caller may not see it.'
const noConsole = 'The server is being built, moved or deleted.'
const counts = { id: sessionId, bytes_to_client: 482_113, bytes_to_console: 1_207 }

const invitation = {
  id: invitationId,
  session_id: sessionId,
  server_id: serverId,
  type: 'novnc',
  role: 'watch',
  label: 'Bea',
  created_by: 'ann',
  created_at: startedAt,
  expires_at: expiresAt,
} as const

const sharedConsole: SharedConsole = {
  server_id: serverId,
  type: 'novnc',
  revision: 2,
  participants: [{ id: 'e4d1b2a3-6c5f-4e7d-8b9a-0c1d2e3f4a5b', role: 'control', label: 'Bea', since: startedAt }],
  held_by: sessionId,
  ready: true,
  requested_by: [],
}

const serialPort = { server_id: serverId, server_name: 'web-1', project_id: projectId, host: '10.0.0.5', port: 10_000 }

export const extensionExamples: { readonly [Name in ExtensionRouteName]: ExtensionExample<Name> } = {
  admitSession: {
    body: { token, proxy_id: proxyId, client_address: clientAddress },
    response: {
      session: {
        id: sessionId,
        console: {
          instance_uuid: serverId,
          instance_name: 'web-1',
          project_id: projectId,
          user_id: 'ann',
          protocol: 'vnc',
          type: 'novnc',
          host: '10.0.0.5',
          port: 5900,
          tls_port: null,
          internal_access_path: null,
          base_url: 'https://consoles.example/vnc_lite.html',
          expires_at: expiresAt,
          role: 'control',
          label: null,
        },
      },
    },
    refusals: {
      404: 'The token is unknown, expired, used up or revoked, or the session may not be resumed.',
      409: 'The console has moved since the token was created, or its machine is switched off (switchedOff).',
    },
  },
  locateConsole: {
    response: { console: { moving: false, address: { host: '10.0.0.6', port: 5901 } } },
    refusals: { 404: 'There is no such session.' },
  },
  followConsole: {
    response: { console: { moving: false, address: { host: '10.0.0.6', port: 5901 } } },
    refusals: { 404: 'There is no such session, or it was ended or revoked.' },
  },
  beat: {
    body: { open: [counts], ended: [], control: [{ id: sessionId, since: startedAt }] },
    response: { beat_seconds: 5, end: [{ id: sessionId, reason: 'ended' }], takes_control: true },
  },
  awaitSharedConsoles: {
    body: { version: '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12', wait_seconds: 25 },
    response: {
      version: 'de9f2c7fd25e1b3afad3e85a0bd17d9b100db4b3',
      consoles: [sharedConsole],
    },
  },
  moveControl: {
    body: { session_id: sessionId, from: null, to: sessionId },
    response: { console: sharedConsole },
    refusals: { 409: 'The session is not open at this proxy.' },
  },
  holdPort: {
    body: { session_id: sessionId, take_over: true },
    response: { port: { hold_id: holdId, ready: false, wait_seconds: 20, held_by: null } },
    refusals: { 409: 'The session is not open at this proxy.' },
  },
  groupProxy: { body: { group: 'b3a1c4d2' }, response: null },
  showPort: {
    response: { port: { hold_id: holdId, ready: true, wait_seconds: 0, held_by: null } },
    refusals: { 409: 'The proxy does not hold this port any more.' },
  },
  releasePort: { response: null },
  awaitSerialPorts: {
    body: { version: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441', wait_seconds: 25 },
    response: { version: '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12', serial_ports: [serialPort] },
  },
  confirmSerialPort: {
    response: { serial_port: serialPort },
    refusals: { 404: 'There is no such running server with a serial port, or another proxy must hold the port.' },
  },
  reportSerialLog: {
    body: { ask_id: '1c2d3e4f-5a6b-4c7d-8e9f-0a1b2c3d4e5f', log: 'U2VhQklPUyAodmVyc2lvbiAxLjE2LjIpDQo=' },
    response: null,
    refusals: { 404: 'The API does not want the output any more, or another proxy must hold the port.' },
  },
  releaseSerialPorts: { response: null },
  listSessions: {
    response: {
      sessions: [
        {
          ...counts,
          server_id: serverId,
          server_name: 'web-1',
          project_id: projectId,
          user_id: 'ann',
          protocol: 'vnc',
          type: 'novnc',
          client_address: clientAddress,
          proxy_id: proxyId,
          started_at: startedAt,
          ended_at: endedAt,
          end_reason: 'client_closed',
          role: 'control',
          label: null,
          invitation_id: null,
        },
      ],
    },
  },
  endSession: { response: null, refusals: { 404: noSession } },
  createInvitation: {
    body: { role: 'watch', ttl_seconds: 600, label: 'Bea' },
    response: { invitation: { ...invitation, url } },
    refusals: {
      404: noSession,
      409: `The session has ended. ${noConsole}`,
      501: 'The hypervisor does not support this console.',
    },
  },
  listInvitations: { response: { invitations: [invitation] }, refusals: { 404: noSession } },
  revokeInvitation: { response: null, refusals: { 404: 'There is no such invitation, or no such session.' } },
  createPageInvitation: {
    body: { role: 'watch', ttl_seconds: 600, label: 'Bea' },
    response: { invitation: { ...invitation, is_used: false, url } },
    refusals: {
      404: noSessionHere,
      409: `The session has ended, or has as many invitations as it may have. ${noConsole}`,
      501: 'The hypervisor does not support this console.',
    },
  },
  listPageInvitations: {
    response: { invitations: [{ ...invitation, is_used: false }], max_ttl_seconds: 3600, max_invitations: 16 },
    refusals: { 404: noSessionHere },
  },
  revokePageInvitation: { response: null, refusals: { 404: `There is no such invitation. ${noSessionHere}` } },
  revokeTokens: { response: null, refusals: { 404: noServer } },
  createConsole: {
    body: { type: 'novnc', role: 'watch', ttl_seconds: 600, single_use: true, label: 'Bea' },
    response: {
      console: {
        ...{ protocol: 'vnc', type: 'novnc', role: 'watch', label: 'Bea', single_use: true },
        url,
        expires_at: expiresAt,
      },
    },
    refusals: {
      404: noServer,
      409: noConsole,
      501: 'The hypervisor does not support this console.',
    },
  },
  listServersWithConsoles: {
    response: {
      servers: [
        {
          ...{ id: serverId, name: 'web-1', project_id: projectId, status: 'ACTIVE' },
          ...{ consoles: ['novnc', 'serial'], unavailable: null, unanswered_since: null },
        },
      ],
      total: 1,
      statuses: [{ status: 'ACTIVE', servers: 1 }],
      may: { open: ['control', 'watch'], list_sessions: true, end_sessions: true, show_screenshots: true },
    },
  },
  showScreenshot: {
    response: null,
    refusals: {
      404: noServer,
      409: 'The server is off, being built, moved or deleted.',
      429: "Too many new screenshots of this server's project. Retry-After says when to try again.",
      501: 'Screenshots are disabled, or the hypervisor does not support this console.',
      504: 'The screen showed no picture in time.',
    },
  },
  listSources: {
    response: {
      sources: [{ kind: 'qemu', servers: 12, answers: true, unanswered: [{ server_id: serverId, since: startedAt }] }],
    },
  },
}
