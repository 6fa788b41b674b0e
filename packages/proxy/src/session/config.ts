/** `[sessions]`: how many consoles may be open, and for how long. */
import { count, seconds, table } from '@oriel/runtime'
import * as Type from 'typebox'

/** `[sessions]`. */
export const sessionsTable = table(
  {
    max_total: count(10_000, 'Consoles open at once.'),
    max_per_token: count(32, 'With one token; SPICE in a browser opens about ten.'),
    max_per_instance: count(16, 'To one machine.'),
    max_per_client: count(64, 'From one address (of IPv6, from one /64).'),
    max_waiting_per_client: count(
      256,
      'Connections from one address (of IPv6, from one /64) that have no console yet; a worker counts its own.',
    ),
    unknown_tokens_per_minute: count(
      120,
      'Look-ups for one address (of IPv6, one /64) that find no such token; a worker counts its own.',
    ),
    single_use: Type.Boolean({
      default: false,
      description:
        'Whether a token opens a console once: its URL is worth nothing to whoever reads it later, nor to a client that dials again.',
    }),
    idle_timeout_seconds: seconds(0, 'Without input from the client; 0: for ever.'),
    max_seconds: seconds(0, 'How long a console may be open; 0: for ever.'),
    enforce_token_expiry: Type.Boolean({
      default: false,
      description: 'Ends a session when its token expires, where the authority says when that is.',
    }),
    ping_interval_seconds: seconds(25, 'Between pings, which keep idle consoles through load balancers; 0: none.'),
    drain_seconds: seconds(30, 'How long a stop waits for clients to close.'),
    workers: count(1, 'Processes that share the listeners.'),
    max_buffered_mib: count(
      512,
      'Memory for output to slow clients, over all sessions and workers. Beyond it, the clients that have read nothing for the longest are dropped.',
    ),
  },
  { default: {} },
)

export type SessionsConfig = Type.Static<typeof sessionsTable>
