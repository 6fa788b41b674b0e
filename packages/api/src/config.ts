/** The API's configuration, as operators write it in api.toml. Key names are part of the interface: they stay. */
import type { OpenableConsoleType } from '@oriel/contract'
import { listenAddress, MAX_TIMER_SECONDS, secretString, table } from '@oriel/runtime'
import * as Type from 'typebox'
import { authConfig } from './auth/config.ts'
import { role } from './policy/roles.ts'
import { type PolicyRule, policyDefaults } from './policy/rules.ts'
import { sourceConfig } from './sources/config.ts'

const consoleConfig = (enabled: boolean, baseUrl: string) =>
  table(
    {
      enabled: Type.Boolean({ default: enabled, description: 'Whether consoles of this type are given out.' }),
      base_url: Type.String({
        default: baseUrl,
        description:
          'Where people open it; the token is added. In oriel, absent: at the listener of its proxy that serves this type.',
      }),
    },
    { default: {} },
  )

const roles = (rule: PolicyRule, description: string) =>
  Type.Array(role(), { default: [...policyDefaults[rule]], description })

export const ApiConfig = table({
  listen: listenAddress('127.0.0.1:8774'),
  public_url: Type.Optional(
    Type.String({ minLength: 1, description: "In version links. Absent: the request's Host header." }),
  ),
  auth: authConfig,
  policy: table(
    {
      'os_compute_api:os-remote-consoles': roles(
        'os_compute_api:os-remote-consoles',
        'Roles that may create consoles.',
      ),
      'os_compute_api:os-console-output': roles(
        'os_compute_api:os-console-output',
        'Roles that may read what a console has printed.',
      ),
      'os_compute_api:os-console-auth-tokens': roles(
        'os_compute_api:os-console-auth-tokens',
        'Roles that may ask where a token leads: those of proxies.',
      ),
      'os_compute_api:servers:index': roles('os_compute_api:servers:index', 'Roles that may list servers.'),
      'os_compute_api:servers:detail': roles('os_compute_api:servers:detail', 'Roles that may list servers in full.'),
      'os_compute_api:servers:show': roles('os_compute_api:servers:show', 'Roles that may see a server.'),
      'oriel:sessions:admit': roles(
        'oriel:sessions:admit',
        'Roles that may admit and report sessions: those of proxies.',
      ),
      'oriel:sessions:list': roles('oriel:sessions:list', 'Roles that may list the sessions of their project.'),
      'oriel:sessions:end': roles('oriel:sessions:end', 'Roles that may end the sessions of their project.'),
      'oriel:console-auth-tokens:revoke': roles(
        'oriel:console-auth-tokens:revoke',
        'Roles that may revoke the tokens of a server.',
      ),
    },
    { default: {}, description: 'Rule = roles that may.' },
  ),
  tokens: table(
    {
      store: secretString({
        default: 'sqlite:oriel.db',
        description: 'sqlite:FILE, sqlite::memory:, postgres://USER:PASSWORD@HOST/DATABASE or mysql://… for MariaDB.',
      }),
      pool_max: Type.Integer({
        ...{ default: 10, minimum: 1, maximum: 1000 },
        description: 'Connections of this replica to a database server.',
      }),
      statement_timeout_ms: Type.Integer({
        ...{ default: 5000, minimum: 100, maximum: 60_000 },
        description: 'How long a database server may take for a statement.',
      }),
      ttl_seconds: Type.Integer({
        ...{ default: 600, minimum: 0, maximum: 31_536_000 },
        description: 'How long a console address may be opened.',
      }),
      sweep_seconds: Type.Integer({
        default: 60,
        minimum: 1,
        maximum: MAX_TIMER_SECONDS,
        description: 'How often expired tokens are removed.',
      }),
    },
    { default: {} },
  ),
  sessions: table(
    {
      beat_seconds: Type.Integer({
        default: 5,
        minimum: 1,
        maximum: 60,
        description: 'How often proxies report. One that is silent for three beats is lost, and so are its sessions.',
      }),
      retention_days: Type.Integer({ default: 30, minimum: 0, maximum: 3650, description: 'Of sessions that ended.' }),
    },
    { default: {} },
  ),
  consoles: table(
    {
      novnc: consoleConfig(true, 'http://127.0.0.1:6080/vnc_lite.html'),
      'spice-html5': consoleConfig(true, 'http://127.0.0.1:6082/spice_auto.html'),
      'spice-direct': consoleConfig(true, 'http://127.0.0.1:13002/nova'),
      serial: consoleConfig(true, 'ws://127.0.0.1:6083/'),
      webmks: consoleConfig(false, 'http://127.0.0.1:6090/webmks.html'),
    } satisfies Record<OpenableConsoleType, Type.TSchema>,
    { default: {} },
  ),
  cors: table(
    {
      allowed_origins: Type.Array(Type.String({ minLength: 1 }), {
        default: [],
        description: 'Origins of pages that may call the API, such as https://portal.example.',
      }),
    },
    { default: {} },
  ),
  limits: table(
    {
      header_timeout_seconds: Type.Integer({
        default: 10,
        minimum: 1,
        maximum: MAX_TIMER_SECONDS,
        description: 'To send the headers.',
      }),
      request_timeout_seconds: Type.Integer({
        default: 30,
        minimum: 1,
        maximum: MAX_TIMER_SECONDS,
        description: 'To send the whole request.',
      }),
      source_timeout_seconds: Type.Integer({
        default: 30,
        minimum: 1,
        maximum: MAX_TIMER_SECONDS,
        description: 'For a source to answer.',
      }),
      drain_seconds: Type.Integer({
        default: 30,
        minimum: 0,
        maximum: MAX_TIMER_SECONDS,
        description: 'For requests under way at the end.',
      }),
    },
    { default: {} },
  ),
  sources: Type.Array(sourceConfig, { default: [] }),
})
export type ApiConfig = Type.Static<typeof ApiConfig>

/** The part of the configuration that answers depend on. */
export type ApiSettings = Pick<
  ApiConfig,
  'public_url' | 'policy' | 'tokens' | 'sessions' | 'consoles' | 'cors' | 'limits'
>
