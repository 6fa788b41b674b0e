/** Reads files that a configuration names, including pipes and devices. */
import { closeSync, openSync, readSync } from 'node:fs'

/** Far more than any configuration, CA bundle or secret has; a device such as `/dev/zero` never ends. */
const MAX_FILE_MIB = 16
const MAX_FILE_BYTES = MAX_FILE_MIB * 2 ** 20
const CHUNK_BYTES = 65_536

/**
 * Reads a file of at most 16 MiB as UTF-8. Ignores the file's reported size: pipes, such as those of a shell's process
 * substitution, and files in `/proc` have none.
 * @throws the system's error; an Error with code `EFBIG` once more than 16 MiB were read
 */
export function readTextFile(path: string): string {
  const fd = openSync(path, 'r')
  try {
    return readToEnd(fd, path).toString('utf8')
  } finally {
    closeSync(fd)
  }
}

function readToEnd(fd: number, path: string): Buffer {
  const chunks: Buffer[] = []
  for (let total = 0; ; ) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const length = readSync(fd, chunk)
    if (length === 0) return Buffer.concat(chunks, total)
    total += length
    if (total > MAX_FILE_BYTES)
      throw Object.assign(new Error(`${path} cannot be read: ${TOO_LARGE}`), { code: 'EFBIG' })
    chunks.push(chunk.subarray(0, length))
  }
}

const TOO_LARGE = `it has more than ${MAX_FILE_MIB} MiB`

/** The reason why a file cannot be read, for a message: the system's code, or that the file is too large. */
export function readingFailure(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EFBIG') return TOO_LARGE
  return typeof code === 'string' ? code : 'it failed'
}
