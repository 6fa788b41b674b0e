/** Remedies for people whose console closed or was refused. */

/** The next step for the person at the console: nothing, open the same URL again, or request a new console. */
export type Remedy = 'none' | 'reconnect' | 'new-console'

/** The name of a refusal, as in logs and metrics. */
export type RefusalName = keyof typeof remedies
/**
 * The remedy for each refusal. Pages only retry automatically after those with `reconnect`. Separate from the sentences, which
 * the proxy sends with the refusal, so that clients need not bundle them.
 */
export const remedies = {
  bad_request: 'none',
  missing_token: 'new-console',
  unknown_token: 'new-console',
  foreign_origin: 'none',
  foreign_host: 'none',
  wrong_console_type: 'new-console',
  not_found: 'new-console',
  console_moved: 'new-console',
  in_use: 'none',
  switched_off: 'reconnect',
  too_many: 'reconnect',
  too_many_attempts: 'reconnect',
  console_unreachable: 'reconnect',
  security_failed: 'none',
  authority_unavailable: 'reconnect',
  draining: 'reconnect',
  console_timeout: 'reconnect',
} as const satisfies Record<string, Remedy>

export const refusalNames = Object.keys(remedies) as RefusalName[]
