/** The events that end a program. */
import { isatty } from 'node:tty'

/** The part of `process` that the lifecycle listens to. */
export interface SignalSource {
  on(event: string, listener: (...values: unknown[]) => void): unknown
  off(event: string, listener: (...values: unknown[]) => void): unknown
}

export interface Endings extends Disposable {
  /** Resolves to the name of the first SIGTERM or SIGINT, or to SIGHUP if the terminal has closed. */
  readonly stop: Promise<string>
  /** Resolves to the name of the second signal: the sender does not want to wait. */
  readonly hurry: Promise<string>
  /** Resolves at an uncaught exception or unhandled rejection. An object, since the thrown value may have a `then`. */
  readonly crash: Promise<{ readonly error: unknown }>
}

/**
 * Under `npm start` one Ctrl-C arrives twice: from the terminal, and from npm, which forwards it. Two SIGINT within this
 * time count as one: a person does not press Ctrl-C twice that quickly.
 */
const SAME_INTERRUPT_MS = 200

const STDOUT = 1

/** Listens for endings until disposed. */
export function watchEndings(source: SignalSource): Endings {
  const stop = Promise.withResolvers<string>()
  const hurry = Promise.withResolvers<string>()
  const crash = Promise.withResolvers<{ error: unknown }>()
  const hadTerminal = isatty(STDOUT)
  let first: { signal: string; at: number } | undefined
  const signalled = (signal: string) => {
    const at = performance.now()
    if (!first) stop.resolve(signal)
    else if (signal !== 'SIGINT' || first.signal !== signal || at - first.at >= SAME_INTERRUPT_MS) hurry.resolve(signal)
    first ??= { signal, at }
  }
  const listeners: Readonly<Record<string, (...values: unknown[]) => void>> = {
    SIGTERM: () => signalled('SIGTERM'),
    SIGINT: () => signalled('SIGINT'),
    SIGHUP: () => {
      if (hadTerminal && !isatty(STDOUT)) signalled('SIGHUP')
    },
    uncaughtException: (error) => crash.resolve({ error }),
    unhandledRejection: (error) => crash.resolve({ error }),
  }
  for (const [event, listener] of Object.entries(listeners)) source.on(event, listener)
  return {
    stop: stop.promise,
    hurry: hurry.promise,
    crash: crash.promise,
    [Symbol.dispose]: () => {
      for (const [event, listener] of Object.entries(listeners)) source.off(event, listener)
    },
  }
}
