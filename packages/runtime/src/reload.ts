/** Reading the configuration again while a program runs: at SIGHUP, and when a file changes that it names. */
import { statSync } from 'node:fs'
import { ConfigError, faultLine } from './config/error.ts'
import type { Logger } from './log.ts'
import type { SignalSource } from './signals.ts'

/** The files that a configuration names, by absolute path, each with what it was when it was read. */
export type Stamps = ReadonlyMap<string, string>

export interface ReloadOptions {
  readonly signals: SignalSource
  readonly log: Logger
}

/** What was read, once it is in use. */
export interface Reread {
  readonly files: Stamps
  /** Paths of the keys that differ from what was read before. */
  readonly changed: readonly string[]
  /** Paths of the keys that differ from what the program runs with, and that it takes at its start alone. */
  readonly waiting: readonly string[]
}

export interface Reloads extends Disposable {
  /**
   * The program runs. From now on a change of `files` is enough, and a SIGHUP of before is answered.
   * @param read reads the configuration and puts it to use; what it throws is logged. Absent: nothing can be reloaded
   */
  begin(files: Stamps, read?: () => Promise<Reread>): void
}

/**
 * Certificates are replaced by renaming, by writing, or by turning a symbolic link somewhere above them; looking at the
 * file itself sees each of these on every file system, and costs one system call.
 */
const LOOK_EVERY_MS = 1_000

/**
 * What tells one state of a file from another. Take it before reading, so that no change goes unseen. A file that cannot
 * be looked at has one too: it is a fault of the reading.
 */
export function stampOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}

/**
 * Answers SIGHUP until disposed, whatever the program can do with it: without a listener it would end the process, and
 * every console with it.
 */
export function watchReloads({ signals, log }: ReloadOptions): Reloads {
  let hangUp: 'early' | 'before the start' | ((why: string) => unknown) = 'early'
  const heard = () => {
    if (typeof hangUp === 'function') hangUp('SIGHUP')
    else hangUp = 'before the start'
  }
  const watch = new DisposableStack()
  signals.on('SIGHUP', heard)
  watch.defer(() => signals.off('SIGHUP', heard))
  return {
    begin: (files, read) => {
      const missed = hangUp === 'before the start'
      hangUp = read ? watch.use(reloader(files, read, log)).run : (why) => log.info({ why }, NOTHING)
      if (missed) heard()
    },
    [Symbol.dispose]: () => watch.dispose(),
  }
}

const NOTHING = 'this program can reload nothing while it runs: a changed configuration waits for a restart'

/** Reloads until disposed: one at a time, and once more when something changed meanwhile. */
function reloader(files: Stamps, read: () => Promise<Reread>, log: Logger) {
  let known = files
  let running = false
  let again = false
  const run = async (why: string) => {
    again = running
    if (running) return
    running = true
    try {
      log.info({ why }, 'reading the configuration again')
      const { files, changed, waiting } = await read()
      known = files
      log.info({ why, changed }, 'the configuration was read again')
      if (waiting.length > 0) log.warn({ keys: waiting }, 'these keys differ from those in use and wait for a restart')
    } catch (error) {
      report(log, error)
    } finally {
      running = false
    }
    if (again) await run(why)
  }
  const look = () => {
    const present = new Map([...known.keys()].map((file) => [file, stampOf(file)]))
    const changed = [...present].some(([file, now]) => known.get(file) !== now)
    // Also when the new state is faulty: it is reported once, and looked at again when it changes again.
    known = present
    if (changed) void run('a file changed')
  }
  const timer = setInterval(look, LOOK_EVERY_MS).unref()
  return { run, [Symbol.dispose]: () => clearInterval(timer) }
}

function report(log: Logger, error: unknown): void {
  const faults =
    error instanceof ConfigError ? error.faults.map((fault) => faultLine(fault, 'configuration')) : undefined
  log.error(faults ? { faults } : { err: error }, 'the configuration was not reloaded, the old one stays')
}
