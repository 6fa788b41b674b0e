/** Finds QMP sockets by a glob, at intervals and whenever the glob's folder changes. */
import { type FSWatcher, watch } from 'node:fs'
import { glob, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Logger } from '@oriel/runtime'

export interface SocketWatchOptions {
  readonly pattern: string
  readonly intervalMs: number
  readonly log: Logger
  /** Called after each search, with an identity by path. It changes when a socket is created again at the same path. */
  readonly onLook: (sockets: ReadonlyMap<string, string>) => void
}

export interface SocketWatch extends Disposable {
  /** Searches now. */
  look(): Promise<void>
}

/** A glob that matches more sockets than this is a mistake. */
const MAX_SOCKETS = 10_000

export function watchSockets({ pattern, intervalMs, log, onLook }: SocketWatchOptions): SocketWatch {
  const absolute = resolve(pattern)
  let over = false
  let looking: Promise<void> | undefined
  let again = false
  let lastProblem: string | undefined
  // Logs a problem when it begins or changes, and not at each search that finds it again.
  const report = (found: Found) => {
    const { problem, err } = found
    if (problem !== undefined && problem !== lastProblem)
      log.warn({ err, pattern: absolute, sockets: found.sockets.size }, problem)
    lastProblem = problem
  }
  const once = async () => {
    do {
      again = false
      const found = await socketsOf(absolute)
      if (over) return
      report(found)
      onLook(found.sockets)
    } while (again && !over)
  }
  // One search at a time: one that is requested during another starts after it.
  const look = () => {
    again = looking !== undefined
    looking ??= once().finally(() => {
      looking = undefined
    })
    return looking
  }
  const unwatch = onFolderChange(absolute, () => void look())
  const timer = setInterval(() => {
    unwatch.again()
    void look()
  }, intervalMs)
  return {
    look,
    [Symbol.dispose]() {
      over = true
      clearInterval(timer)
      unwatch.end()
    },
  }
}

/** Returns the folder in a glob before its first wildcard. */
export function folderOf(pattern: string): string {
  const wildcard = pattern.search(/[*?[{]/)
  return dirname(wildcard < 0 ? pattern : `${pattern.slice(0, wildcard)}x`)
}

interface Found {
  readonly sockets: ReadonlyMap<string, string>
  /** The reason why sockets may be missing. */
  readonly problem?: string
  readonly err?: unknown
}

async function socketsOf(pattern: string): Promise<Found> {
  const sockets = new Map<string, string>()
  try {
    for await (const path of glob(pattern)) {
      const identity = await identityOf(path)
      if (identity !== undefined) sockets.set(path, identity)
      if (sockets.size >= MAX_SOCKETS) {
        return { sockets, problem: 'too many QMP sockets, ignoring the rest' }
      }
    }
    return { sockets }
  } catch (err) {
    return { sockets, problem: 'QMP sockets cannot be listed', err }
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  try {
    const found = await stat(path, { bigint: true })
    return found.isSocket() ? `${found.dev}:${found.ino}` : undefined
  } catch {
    return undefined // removed since the search found it
  }
}

/**
 * Watches the glob's folder, to notice changes before the next search. On platforms without watches, the searches suffice.
 */
function onFolderChange(pattern: string, onChange: () => void) {
  let watcher: FSWatcher | undefined
  const end = () => {
    watcher?.close()
    watcher = undefined
  }
  const again = () => {
    if (watcher) return
    try {
      watcher = watch(folderOf(pattern), { persistent: false }, onChange)
      watcher.on('error', end)
    } catch {
      end() // the folder does not exist yet
    }
  }
  again()
  return { again, end }
}
