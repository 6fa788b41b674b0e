/** `[sessions]`: limits on the number and the duration of open consoles. */
import { count, oneOf, seconds, secretString, table } from '@oriel/runtime'
import * as Type from 'typebox'

/** `[sessions]`. */
export const sessionsTable = table(
  {
    max_total: count(10_000, 'Maximum number of open consoles.'),
    max_per_token: count(32, 'The same for one token. SPICE in a browser opens about ten.'),
    max_per_instance: count(16, 'The same for one instance.'),
    max_per_client: count(64, 'The same for one client address (for IPv6, one /64).'),
    max_waiting_per_client: count(
      256,
      'Maximum number of connections without a console from one client address (for IPv6, one /64), in each worker.',
    ),
    unknown_tokens_per_minute: count(
      120,
      'Maximum number of look-ups of unknown tokens per minute for one client address (for IPv6, one /64), in each worker.',
    ),
    single_use: Type.Boolean({
      default: false,
      description:
        "Whether a token opens a console only once. A leaked URL is then useless. Oriel's pages still reconnect, other clients cannot.",
    }),
    share: oneOf(['shared', 'exclusive'], {
      default: 'shared',
      description: 'Whether several viewers may control one console at the same time. Watchers are not limited.',
    }),
    in_use: oneOf(['refuse', 'take_over'], {
      default: 'refuse',
      description:
        'With share = "exclusive": whether a second controlling viewer is refused, or ends the session of the first. A request with take_over=1 always does.',
    }),
    resume_seconds: Type.Integer({
      default: 3600,
      minimum: 0,
      maximum: 86_400,
      description:
        'How long a page can come back to a console that it lost, without its token and on any proxy with the same resume_key. Never beyond max_seconds. 0: pages need their token again.',
    }),
    resume_key: Type.Optional(
      secretString({
        pattern: '^\\s*\\S{32,}(\\s+\\S{32,})*\\s*$',
        'x-remedy': 'one key a line, each of at least 32 characters, such as the output of openssl rand -base64 32',
        description:
          'The keys that seal what pages come back with, one a line: the first seals, and all are accepted. Proxies with the same keys accept the pages of each other. Default: a random key, so that pages come back only to the same proxy until it restarts.',
      }),
    ),
    idle_timeout_seconds: seconds(0, 'Ends a session after this time without input from the client; 0: never.'),
    max_seconds: seconds(0, 'Maximum duration of a session; 0: unlimited.'),
    enforce_token_expiry: Type.Boolean({
      default: false,
      description: 'Whether a session ends when its token expires, if the authority returns that time.',
    }),
    ping_interval_seconds: seconds(
      25,
      'Interval of WebSocket pings, which keep load balancers from closing idle consoles; 0: none.',
    ),
    drain_seconds: seconds(30, 'How long a stop waits for clients to close their connections.'),
    workers: count(1, 'Number of processes that share the listeners.'),
    max_buffered_mib: count(
      512,
      'Memory in MiB for output to slow clients, over all sessions and workers. Beyond it, the clients that have read nothing for the longest are disconnected.',
    ),
  },
  { default: {} },
)

export type SessionsConfig = Type.Static<typeof sessionsTable>
