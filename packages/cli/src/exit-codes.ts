/** The exit codes of the command. `docs/cli.md` has the same table, which a test compares. */
export const exitCodes = {
  ok: { code: 0, when: 'It worked. A console was left, or the machine closed it.' },
  failed: { code: 1, when: 'The API or the console refused, or the connection failed.' },
  usage: { code: 2, when: 'An argument, a setting or the sign-in is missing or wrong.' },
  timeout: { code: 3, when: 'An answer did not arrive in time.' },
  notFound: { code: 4, when: 'No server, or more than one, has this name or id; or no session has this id.' },
  denied: { code: 5, when: 'The credentials were refused, or are not allowed to do this.' },
  unhealthy: { code: 6, when: '`oriel doctor` found a fault.' },
} as const

/** The name of an exit code. */
export type ExitName = keyof typeof exitCodes

/** Returns the exit code after a signal, as shells do: 128 and its number. */
export const codeOfSignal = (signal: Signal): number => 128 + SIGNALS[signal]

/** The signals that end the command. */
export type Signal = keyof typeof SIGNALS
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
export const signals = Object.keys(SIGNALS) as Signal[]
