/** The API's configuration, as operators write it in api.toml. Key names are public: do not rename them. */
import {
  type HealthListener,
  type ListenKey,
  listenAddress,
  listenerTlsTable,
  MAX_TIMER_SECONDS,
  table,
} from '@oriel/runtime'
import * as Type from 'typebox'
import { adminTable } from './admin/config.ts'
import { authConfig } from './auth/config.ts'
import { tokensConfig } from './console-auth-tokens/config.ts'
import { consolesConfig } from './consoles/config.ts'
import { policyConfig } from './policy/config.ts'
import { screenshotsConfig } from './screenshots/config.ts'
import { sessionsConfig } from './sessions/config.ts'
import { sourceConfig } from './sources/config.ts'

export const ApiConfig = table({
  listen: listenAddress('127.0.0.1:8774'),
  tls: Type.Optional(listenerTlsTable),
  public_url: Type.Optional(
    Type.String({
      minLength: 1,
      description: "The base URL of version links. Absent: taken from the request's Host header.",
    }),
  ),
  auth: authConfig,
  policy: policyConfig,
  tokens: tokensConfig,
  sessions: sessionsConfig,
  consoles: consolesConfig,
  screenshots: screenshotsConfig,
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
        description: 'Deadline for a client to send the headers.',
      }),
      request_timeout_seconds: Type.Integer({
        default: 30,
        minimum: 1,
        maximum: MAX_TIMER_SECONDS,
        description: 'Deadline for a client to send the whole request.',
      }),
      source_timeout_seconds: Type.Integer({
        default: 30,
        minimum: 1,
        maximum: MAX_TIMER_SECONDS,
        description: 'Deadline for a source to respond.',
      }),
      drain_seconds: Type.Integer({
        default: 30,
        minimum: 0,
        maximum: MAX_TIMER_SECONDS,
        description: 'Deadline for pending requests at the shutdown.',
      }),
    },
    { default: {} },
  ),
  sources: Type.Array(sourceConfig, { default: [] }),
  admin: Type.Optional(adminTable),
})
export type ApiConfig = Type.Static<typeof ApiConfig>

/** Returns every key that contains an address to listen on. */
export const apiListenKeys = ({ listen, admin }: Pick<ApiConfig, 'listen' | 'admin'>): readonly ListenKey[] => [
  { path: 'listen', address: listen },
  ...(admin ? [{ path: 'admin.listen', address: admin.listen }] : []),
]

/**
 * Returns the listener that `--health` asks: the admin listener, or without one that of the API. With TLS there must be
 * one: the certificate need not be valid for the address that `--health` asks.
 */
export const apiHealthListener = ({
  listen,
  tls,
  admin,
}: Pick<ApiConfig, 'listen' | 'tls' | 'admin'>): HealthListener =>
  admin || tls ? { path: 'admin.listen', address: admin?.listen } : { path: 'listen', address: listen }

/** The part of the configuration that responses depend on. */
export type ApiSettings = Pick<
  ApiConfig,
  'public_url' | 'policy' | 'tokens' | 'sessions' | 'consoles' | 'screenshots' | 'cors' | 'limits'
>
