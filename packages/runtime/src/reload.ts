/** Reloads the configuration of a running program: at SIGHUP, and when a file that it names has changed. */
import { statSync } from 'node:fs'
import { ConfigError, faultLine } from './config/error.ts'
import type { Logger } from './log.ts'
import type { SignalSource } from './signals.ts'

/** The files that a configuration names, by absolute path, each with its stamp from before it was read. */
export type Stamps = ReadonlyMap<string, string>

export interface ReloadOptions {
  readonly signals: SignalSource
  readonly log: Logger
}

/** The result of a reload. */
export interface Reread {
  readonly files: Stamps
  /** Paths of the keys that differ from the previously read configuration. */
  readonly changed: readonly string[]
  /** Paths of the keys that differ from those in use, and that the program only reads at its start. */
  readonly waiting: readonly string[]
}

export interface Reloads extends Disposable {
  /**
   * Call it once the program has started. Reloads at once if SIGHUP arrived during the start, and from now on when one of
   * `files` changes.
   * @param read reads and applies the configuration; an error is logged. Absent: the program cannot reload
   */
  begin(files: Stamps, read?: () => Promise<Reread>): void
}

/**
 * Certificates are replaced by renaming, by writing, or by changing a symbolic link of a folder above them. A `stat` of
 * the file notices each of these on every file system, unlike a watch, and costs one system call.
 */
const LOOK_EVERY_MS = 1_000

/**
 * Returns text that changes whenever the file does. Take the stamp before reading the file, or a change in between goes
 * unnoticed. For a file that cannot be examined it is the error's code: reading the file reports the fault.
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
 * Handles SIGHUP until disposed, even for a program that cannot reload: without a listener the signal would end the
 * process, and every console with it.
 */
export function watchReloads({ signals, log }: ReloadOptions): Reloads {
  let hangUp: 'early' | 'before the start' | ((why: string) => unknown) = 'early'
  const onHangUp = () => {
    if (typeof hangUp === 'function') hangUp('SIGHUP')
    else hangUp = 'before the start'
  }
  const watch = new DisposableStack()
  signals.on('SIGHUP', onHangUp)
  watch.defer(() => signals.off('SIGHUP', onHangUp))
  return {
    begin: (files, read) => {
      const missed = hangUp === 'before the start'
      hangUp = read ? watch.use(reloader(files, read, log)).run : (why) => log.info({ why }, NOTHING)
      if (missed) onHangUp()
    },
    [Symbol.dispose]: () => watch.dispose(),
  }
}

const NOTHING = 'this program cannot reload: restart it to apply a changed configuration'

/** Runs one reload at a time until disposed, and another one after it if it was requested meanwhile. */
function reloader(files: Stamps, read: () => Promise<Reread>, log: Logger) {
  let known = files
  let running = false
  let again = false
  const run = async (why: string) => {
    again = running
    if (running) return
    running = true
    try {
      log.info({ why }, 'reloading the configuration')
      const { files, changed, waiting } = await read()
      known = files
      log.info({ why, changed }, 'configuration reloaded')
      if (waiting.length > 0) log.warn({ keys: waiting }, 'these keys have changed, restart to apply them')
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
    // Before the reload: a faulty file is then reported once, and read again only after its next change.
    known = present
    if (changed) void run('a file changed')
  }
  const timer = setInterval(look, LOOK_EVERY_MS).unref()
  return { run, [Symbol.dispose]: () => clearInterval(timer) }
}

function report(log: Logger, error: unknown): void {
  const faults =
    error instanceof ConfigError ? error.faults.map((fault) => faultLine(fault, 'configuration')) : undefined
  log.error(faults ? { faults } : { err: error }, 'cannot reload the configuration, keeping the old one')
}
