/** Keeps folders that take seconds to fill, such as the files of a new database server. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryFolder } from '@oriel/testkit'

const kept = fileURLToPath(new URL('../../../node_modules/.cache/kept-folders', import.meta.url))
const run = promisify(execFile)

/**
 * Copies a folder that `fill` has filled to `to`, with the owners and modes of its files. `fill` runs only once for each
 * `identity`: the versions and settings on which the content depends. The content must not depend on the folder's path.
 */
export async function copyKept(
  identity: readonly unknown[],
  fill: (folder: string) => Promise<void>,
  to: string,
): Promise<void> {
  const name = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 16)
  const folder = join(kept, name)
  if (!existsSync(folder)) await keep(folder, fill)
  await run('cp', ['-a', folder, to])
}

async function keep(folder: string, fill: (folder: string) => Promise<void>): Promise<void> {
  await using temporary = await temporaryFolder()
  // Other accounts, such as that of a database server, must reach what is in it.
  await chmod(temporary.path, 0o711)
  const filled = join(temporary.path, 'filled')
  await mkdir(filled)
  await fill(filled)
  await mkdir(kept, { recursive: true })
  const copy = join(await mkdtemp(join(kept, 'new-')), 'folder')
  await run('cp', ['-a', filled, copy])
  await rename(copy, folder).catch((error: unknown) => {
    // Another test may have kept the same meanwhile.
    if (!existsSync(folder)) throw error
  })
  await rm(dirname(copy), { recursive: true })
}
