/** What a person should do after a console closed or was refused. */

/** What the person at the console should do next: nothing, open the same URL again, or ask for a new console. */
export type Remedy = 'none' | 'reconnect' | 'new-console'

/** A refusal by its name, as in logs and metrics. */
export type RefusalName = keyof typeof remedies
/**
 * What to do after each refusal: pages retry automatically only after those with `reconnect`. Kept apart from the
 * sentences, which reach clients with the refusal and need not be in their bundles.
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
  too_many: 'reconnect',
  too_many_attempts: 'reconnect',
  console_unreachable: 'reconnect',
  security_failed: 'none',
  authority_unavailable: 'reconnect',
  draining: 'reconnect',
  console_timeout: 'reconnect',
} as const satisfies Record<string, Remedy>

export const refusalNames = Object.keys(remedies) as RefusalName[]
