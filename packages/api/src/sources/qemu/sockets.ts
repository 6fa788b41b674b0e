/** Which QMP sockets there are: a glob, looked at again and again, and at once when its folder changes. */
import { type FSWatcher, watch } from 'node:fs'
import { glob, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Logger } from '@oriel/runtime'

export interface SocketWatchOptions {
  readonly pattern: string
  readonly intervalMs: number
  readonly log: Logger
  /** Called after each look. A socket that was made anew at the same path has another identity. */
  readonly onLook: (sockets: ReadonlyMap<string, string>) => void
}

export interface SocketWatch extends Disposable {
  /** Looks now. */
  look(): Promise<void>
}

/** More sockets than this are a mistake in the pattern. */
const MAX_SOCKETS = 10_000

export function watchSockets({ pattern, intervalMs, log, onLook }: SocketWatchOptions): SocketWatch {
  const absolute = resolve(pattern)
  let over = false
  let looking: Promise<void> | undefined
  let again = false
  let lastProblem: string | undefined
  // Each look finds the same problem again: it is logged when it begins or becomes another one.
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
  // One at a time: a look that is asked for while another is under way starts afresh after it.
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

/** The folder that a pattern looks in first: the part before its first wildcard. */
export function folderOf(pattern: string): string {
  const wildcard = pattern.search(/[*?[{]/)
  return dirname(wildcard < 0 ? pattern : `${pattern.slice(0, wildcard)}x`)
}

interface Found {
  readonly sockets: ReadonlyMap<string, string>
  /** Why sockets may be missing. */
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
        return { sockets, problem: 'too many QMP sockets, the rest is left out' }
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
    return undefined // gone between the two looks
  }
}

/** Tells at once what the next look would only find later. Where the platform cannot watch, the looks suffice. */
function onFolderChange(pattern: string, tell: () => void) {
  let watcher: FSWatcher | undefined
  const end = () => {
    watcher?.close()
    watcher = undefined
  }
  const again = () => {
    if (watcher) return
    try {
      watcher = watch(folderOf(pattern), { persistent: false }, tell)
      watcher.on('error', end)
    } catch {
      end() // the folder is not there yet
    }
  }
  again()
  return { again, end }
}
