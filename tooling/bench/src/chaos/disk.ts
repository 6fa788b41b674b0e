/** A small file system of its own, which can be full. */
import { execFile } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface Disk extends AsyncDisposable {
  readonly path: string
  /** Writes until there is no room, and returns what makes room again. */
  fill(): () => void
}

const run = promisify(execFile)
const PIECE = Buffer.alloc(64 * 1024)

/** Mounts a tmpfs at `path`. @throws where this user may not mount */
export async function mountDisk(path: string, mebibytes: number): Promise<Disk> {
  mkdirSync(path)
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path])
  return {
    path,
    fill: () => fill(join(path, 'filler')),
    [Symbol.asyncDispose]: async () => void (await run('umount', ['--lazy', path])),
  }
}

function fill(file: string): () => void {
  const descriptor = openSync(file, 'w')
  try {
    for (let size = PIECE.length; size >= 1; size = Math.floor(size / 2)) writeWhilePossible(descriptor, size)
  } finally {
    closeSync(descriptor)
  }
  return () => rmSync(file)
}

function writeWhilePossible(descriptor: number, size: number): void {
  try {
    while (writeSync(descriptor, PIECE, 0, size) === size);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
