/**
 * Why a console is not opened: one catalogue of HTTP statuses and sentences with which the proxy refuses an Upgrade
 * before it answers 101. The client hears the sentence, the log has the exact cause.
 */

interface Refusal {
  readonly status: number
  readonly text: string
  /** Sent as `Retry-After`, where trying the same address again makes sense. */
  readonly retryAfterSeconds?: number
}

/** A refusal by its name, as in logs and metrics. */
export type RefusalName = (typeof refusalNames)[number]
/** Without the sentences, which no client needs to carry: it gets them with the refusal. */
export const refusalNames = [
  'bad_request',
  'missing_token',
  'unknown_token',
  'foreign_origin',
  'wrong_console_type',
  'not_found',
  'console_moved',
  'too_many',
  'too_many_attempts',
  'console_unreachable',
  'security_failed',
  'authority_unavailable',
  'draining',
  'console_timeout',
] as const

export const refusals = {
  bad_request: {
    status: 400,
    text: 'This address opens a WebSocket. The request is not one that the proxy understands.',
  },
  missing_token: { status: 401, text: 'This address needs a token. Ask for a new console.' },
  unknown_token: {
    status: 403,
    text: 'This console address is not valid or not valid any more. Ask for a new console.',
  },
  foreign_origin: { status: 403, text: 'This page may not open consoles here.' },
  wrong_console_type: { status: 403, text: 'This console address belongs to another kind of console.' },
  not_found: { status: 404, text: 'There is nothing here.' },
  console_moved: {
    status: 409,
    text: 'The machine is no longer where this console address leads. Ask for a new console.',
  },
  too_many: { status: 429, text: 'Too many consoles are open. Close one and try again.' },
  too_many_attempts: { status: 429, text: 'Too many attempts from your address. Try again in a moment.' },
  console_unreachable: { status: 502, text: 'The console of this machine cannot be reached. Is the machine running?' },
  security_failed: { status: 502, text: 'The machine and the console proxy could not agree on security.' },
  authority_unavailable: {
    status: 503,
    text: 'The service that knows this console does not answer. Try again in a moment.',
    retryAfterSeconds: 5,
  },
  draining: { status: 503, text: 'The console proxy is restarting. Try again in a moment.', retryAfterSeconds: 2 },
  console_timeout: { status: 504, text: 'The console of this machine did not answer in time. Is the machine running?' },
} as const satisfies Record<RefusalName, Refusal>

/** The refusal of that name, with all that it may have. */
export const refusal = (name: RefusalName): Refusal => refusals[name]
