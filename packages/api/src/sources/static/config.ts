/** The table of a static source, and of each server in it. */
import { consoleHost, host as hostSchema, secretString, table } from '@oriel/runtime'
import * as Type from 'typebox'
import { statuses } from '../status.ts'

const host = hostSchema({ description: 'Name or address, as seen from the proxy.' })
const hostOrSocket = consoleHost({
  description: 'Name or address, as seen from the proxy; or unix: and the path of a socket on its host.',
})
const port = Type.Integer({ minimum: 1, maximum: 65535, description: 'The port of the console.' })
const tlsPort = Type.Integer({ minimum: 1, maximum: 65535, description: 'The TLS port of the console.' })

export const staticServerConfig = table({
  id: Type.String({ minLength: 1, description: 'The server id, usually a UUID.' }),
  name: Type.String({ minLength: 1, description: 'The display name.' }),
  project_id: Type.String({ minLength: 1, description: 'The project that owns it.' }),
  user_id: Type.Optional(Type.String({ minLength: 1, description: 'The user who created it.' })),
  status: Type.Enum([...statuses], { default: 'ACTIVE', description: "Nova's status." }),
  task_state: Type.Optional(
    Type.String({ minLength: 1, description: "Nova's task_state, such as migrating. Absent: none." }),
  ),
  locked: Type.Boolean({ default: false, description: 'Shown to clients; a locked server still has its console.' }),
  description: Type.Optional(Type.String({ description: 'Shown to clients from the microversion that has it.' })),
  tags: Type.Array(Type.String(), {
    default: [],
    description: 'Shown to clients from the microversion that has them.',
  }),
  host: Type.Optional(
    Type.String({
      description:
        "The hypervisor; by default the first console's host. Empty: the server has no host, and its consoles get a 409.",
    }),
  ),
  console_log: Type.Optional(
    Type.String({ minLength: 1, description: 'Regular file with what the console has printed.' }),
  ),
  consoles: table(
    {
      vnc: Type.Optional(
        table({
          host: hostOrSocket,
          port: Type.Optional(port),
          password: Type.Optional(
            secretString({
              description:
                "The password of this VNC server, which proxies with authority.kind oriel get. Only its first 8 bytes count. Default: the proxy's hypervisor.vnc.password.",
            }),
          ),
        }),
      ),
      serial: Type.Optional(table({ host: hostOrSocket, port: Type.Optional(port) })),
      spice: Type.Optional(table({ host: hostOrSocket, port: Type.Optional(port), tls_port: Type.Optional(tlsPort) })),
      mks: Type.Optional(
        table({
          host,
          port,
          internal_access_path: Type.Optional(
            Type.String({ minLength: 1, description: "The target of the proxy's CONNECT request." }),
          ),
        }),
      ),
    },
    { default: {} },
  ),
})
export type StaticServerConfig = Type.Static<typeof staticServerConfig>

export const staticSourceConfig = table({
  kind: Type.Literal('static', { description: 'The kind of source.' }),
  servers: Type.Array(staticServerConfig, { default: [], description: 'Servers. Read again at SIGHUP.' }),
  file: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'TOML with more [[servers]], read again when it changes and at SIGHUP. Relative to the working folder.',
    }),
  ),
})
export type StaticSourceConfig = Type.Static<typeof staticSourceConfig>
