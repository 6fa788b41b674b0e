/** Folders that become layers. */
import { chmodSync, lstatSync, lutimesSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.ts'

const FOLDER = 0o755
const PROGRAM = 0o755
const FILE = 0o644
const EXECUTABLE = 0o100
/** Everybody may write there, and delete only their own files. */
const SHARED = 0o1777
const SHARED_FOLDERS = new Set(['tmp', 'var/tmp', 'run/lock', 'var/lock'])

/** Sets modes and times of everything in `folder`, so that they depend on neither the umask nor the clock. */
function normalise(folder: string, epochSeconds: number): void {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  for (const path of ['', ...paths.sort().reverse()]) {
    const file = join(folder, path)
    const stat = lstatSync(file)
    if (!stat.isSymbolicLink()) chmodSync(file, modeOf(path, stat.isDirectory(), stat.mode))
    lutimesSync(file, epochSeconds, epochSeconds)
  }
}

function modeOf(path: string, isFolder: boolean, mode: number): number {
  if (isFolder) return SHARED_FOLDERS.has(path) ? SHARED : FOLDER
  return mode & EXECUTABLE ? PROGRAM : FILE
}

/** Packs a folder with {@link normalise} and {@link tarOf}. */
export function packFolder(folder: string, epochSeconds: number): Buffer {
  normalise(folder, epochSeconds)
  return tarOf(folder)
}

/** Packs a normalised folder: sorted, owned by root, without what depends on the machine. Needs GNU tar. */
function tarOf(folder: string): Buffer {
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--format=posix']
  const pax = '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'
  return run('tar', ['-c', '-f', '-', ...same, pax, '-C', folder, '.'])
}
