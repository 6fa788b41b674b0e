/** The events that end a program. */
import { isatty } from 'node:tty'

/** The part of `process` that the lifecycle listens to. */
export interface SignalSource {
  on(event: string, listener: (...values: unknown[]) => void): unknown
  off(event: string, listener: (...values: unknown[]) => void): unknown
}

export interface Endings extends Disposable {
  /** The first SIGTERM or SIGINT, by name; also the SIGHUP of a terminal that closed. */
  readonly stop: Promise<string>
  /** The second signal: the sender does not want to wait. */
  readonly hurry: Promise<string>
  /** An uncaught exception or an unhandled rejection. In an object: any value can be thrown, one with a `then` too. */
  readonly crash: Promise<{ readonly error: unknown }>
}

/**
 * A Ctrl-C under `npm start` arrives twice, from the terminal and from npm, which passes it on: two SIGINT closer
 * together than this are one. No person is that quick.
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
