/** Protects an SQLite database from other users of the machine, since it records who opened which console. */
import { chmodSync, closeSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Logger } from '@oriel/runtime'

const OWNER_ONLY = 0o600
const GROUP = 0o070
const GROUP_WRITES = 0o020
const OTHERS = 0o007
const OTHERS_WRITE = 0o002

/** Suffixes of the files that SQLite creates beside a database, with the database's mode. */
const SUFFIXES = ['', '-wal', '-shm', '-journal']

/**
 * Creates `file` with mode 0600 if it does not exist, removes the permissions of others from existing files, and warns if
 * others may write to the folder. A group that can write keeps its permissions, which an operator must have granted.
 * @throws the system's error if the file cannot be created or opened.
 */
export function keepPrivate(file: string, log: Logger): void {
  closeSync(openSync(file, 'a', OWNER_ONLY))
  for (const suffix of SUFFIXES) tighten(`${file}${suffix}`, log)
  const folder = dirname(resolve(file))
  if ((modeOf(folder) ?? 0) & OTHERS_WRITE) {
    log.warn({ folder }, 'other users may write to the folder of the database: run chmod o-w on it')
  }
}

function tighten(file: string, log: Logger): void {
  const mode = modeOf(file)
  if (mode === undefined) return
  const wanted = mode & ~OTHERS & (mode & GROUP_WRITES ? ~0 : ~GROUP)
  if (mode & GROUP_WRITES) log.warn({ file }, 'a group may write to the database')
  if (wanted === mode) return
  try {
    chmodSync(file, wanted)
    log.info({ file, mode: wanted.toString(8) }, 'permissions of the database reduced')
  } catch (err) {
    log.warn({ err, file }, 'other users may read the database, and its mode cannot be changed: run chmod o-rwx on it')
  }
}

/** The permissions of a file; `undefined` if the file does not exist. */
function modeOf(file: string): number | undefined {
  const stats = statSync(file, { throwIfNoEntry: false })
  return stats && stats.mode & 0o777
}
