/** A small file system that a test can fill. */
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface Disk extends AsyncDisposable {
  readonly path: string
  /** Fills the file system. Returns a function that frees the space. */
  fill(): Promise<() => void>
}

const run = promisify(execFile)

/** Mounts a tmpfs at `path`. @throws if this user may not mount */
export async function mountDisk(path: string, mebibytes: number): Promise<Disk> {
  mkdirSync(path)
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path])
  return {
    path,
    fill: () => fill(join(path, 'filler')),
    [Symbol.asyncDispose]: async () => void (await run('umount', ['--lazy', path])),
  }
}

/** Fills the file system from another process, so that this one, which measures gaps, is not blocked. */
async function fill(file: string): Promise<() => void> {
  const { stderr } = await run('env', ['LC_ALL=C', 'dd', 'if=/dev/zero', `of=${file}`, 'bs=4k']).catch(
    (error) => error as Output,
  )
  if (!stderr.includes('No space left')) throw new Error(`the disk did not become full: ${stderr}`)
  return () => rmSync(file)
}

interface Output {
  readonly stderr: string
}
